"""Rendering of pages: one HTML file each, with data, style and scripts inside.

The template escapes every value. The content security policy allows only the two scripts of a
page, by hash, and no connection: even a text that was not escaped could not run or send data.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

_FOLDER = Path(__file__).parent / "page"


def render(template: str, values: Mapping[str, Any]) -> str:
    """The HTML of a template in the folder `page`, filled with `values` and the shared parts."""
    plotly_js, page_js = _plotly_js(), _text("page.js")
    shared = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "policy": _policy(plotly_js, page_js),
        "plotly_js": Markup(plotly_js),  # noqa: S704  our own file
        "page_js": Markup(page_js),  # noqa: S704  our own file
        "page_css": Markup(_text("page.css")),  # noqa: S704  our own file
    }
    return _environment().get_template(template).render({**values, **shared})


def figure_json(figure: go.Figure) -> Markup:
    """JSON for a script element: no text in it can end the element.

    Plotly escapes too, but does not document it.
    """
    escaped = figure.to_json()
    for sign in "<>&\u2028\u2029":
        escaped = escaped.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(escaped)  # noqa: S704  all markup is escaped


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


@cache
def _plotly_js() -> str:
    return str(get_plotlyjs())


def _policy(*scripts: str) -> str:
    """Content security policy: these scripts, inline style, images from data, nothing else."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:"
    )

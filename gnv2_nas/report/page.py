"""The page: one HTML file with its data, style and scripts inside.

The template escapes every value. The content security policy admits the two scripts of the page
by their hashes and no connection at all: a text that escaped escaping would neither run nor
phone home.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from gnv2_nas.report.conditions import cautions, conditions
from gnv2_nas.report.front_figure import _front_figure, _front_info
from gnv2_nas.report.recommendation import Recommendation
from gnv2_nas.report.size_figure import _size_figure, _size_info, sentences
from gnv2_nas.report.table import COLUMNS, front_rows, stock_rows
from gnv2_nas.report.terms import format_share, term
from gnv2_nas.report.wording import best_word, reference
from gnv2_nas.search.records import Candidate, StudyRecord

_FOLDER = Path(__file__).parent / "page"


def page(
    record: StudyRecord,
    frame: pd.DataFrame,
    members: Sequence[Candidate],
    recommendation: Recommendation,
) -> str:
    """The HTML of the report."""
    recommended = recommendation.recommended
    info = _front_info(record, frame, None if recommended is None else recommended.number)
    sizes = _size_info(record, frame)
    plotly_js, page_js = _plotly_js(), _text("page.js")
    values: dict[str, Any] = {
        "record": record,
        "quality": term("quality", record.settings.quality),
        "recommendation": recommendation,
        "reference": lambda candidate: reference(record, candidate),
        "best_word": best_word(record),
        "export": _export_command(record, recommended),
        "numbers": _numbers(record, len(members)),
        "cautions": cautions(record, sum(info.unstable), members),
        "info": info,
        "neighbours": _neighbours(members),
        "front_figure": _figure_json(_front_figure(info)) if info.groups.drawn else None,
        "size_figure": _figure_json(_size_figure(sizes)) if sizes.groups.drawn else None,
        "size_sentences": sentences(sizes),
        "columns": COLUMNS,
        "front_rows": front_rows(record, members, recommended),
        "front_size": len(members),
        "stock_rows": stock_rows(record, members),
        "conditions": conditions(record),
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "policy": _policy(plotly_js, page_js),
        "plotly_js": Markup(plotly_js),  # noqa: S704  our own file
        "page_js": Markup(page_js),  # noqa: S704  our own file
        "page_css": Markup(_text("page.css")),  # noqa: S704  our own file
    }
    return _template().render(values)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


@cache
def _plotly_js() -> str:
    return str(get_plotlyjs())


def _policy(*scripts: str) -> str:
    """Content security policy: these scripts, inline style, pictures drawn here, nothing else."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:"
    )


def _figure_json(figure: go.Figure) -> Markup:
    """JSON that can stand in a script element: no text in it can end the element.

    Plotly escapes too, but does not promise to.
    """
    escaped = figure.to_json()
    for sign in "<>&\u2028\u2029":
        escaped = escaped.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(escaped)  # noqa: S704  no markup is left in it


def _export_command(record: StudyRecord, recommended: Candidate | None) -> str:
    if recommended is None:
        return ""
    name = shlex.quote(reference(record, recommended))
    return f"gnv2-nas export {name} --format onnx"


def _numbers(record: StudyRecord, members: int) -> list[tuple[str, str, str]]:
    """Value, name and remark of each number of the search."""
    found = [one for one in record.candidates if not one.baseline]
    feasible = sum(one.feasible for one in found)
    return [
        (f"{record.proposed:,}", "proposed", f"by {record.sampler}"),
        (f"{record.rejected:,}", "rejected", "by arithmetic, before any was built"),
        (f"{record.duplicates:,}", "duplicates", "known already, not evaluated again"),
        (f"{len(found):,}", "evaluated", f"and {len(record.candidates) - len(found)} stock"),
        (_share(feasible, len(found)), "feasible", f"{feasible:,} of those evaluated"),
        (f"{members:,}", "on the front", "stock networks included"),
    ]


def _share(part: int, whole: int) -> str:
    return format_share(part / whole) if whole else "–"


def _neighbours(members: Sequence[Candidate]) -> tuple[int, int]:
    """Pairs next to each other in latency, and how many of them have intervals that overlap."""
    measured = sorted((one.latency for one in members if one.latency), key=lambda one: one.ms)
    overlaps = sum(left.ci95[1] >= right.ci95[0] for left, right in pairwise(measured))
    return max(len(measured) - 1, 0), overlaps

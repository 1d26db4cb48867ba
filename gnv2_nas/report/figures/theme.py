"""The look of every figure: colours, one plotly template, and parts that several figures share.

The page replaces the colours of text, grid and background when it opens, for light and dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

FRONT = "#1795a0"
DIM = "#8a94a3"
BUDGET = "#d9622b"
KNEE = "#d6336c"
STOCK = "#8b5cf6"

_AXIS = {
    "zeroline": False, "showline": True, "ticks": "outside", "automargin": True,
    "title": {"standoff": 10},
}  # fmt: skip
_TEMPLATE = go.layout.Template(
    layout={
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "hovermode": "closest",
        "dragmode": "zoom",
        "margin": {"l": 64, "r": 16, "t": 8, "b": 56},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
)


def empty_figure(x_title: str, y_title: str, height: int) -> go.Figure:
    """Axes without points; titles are plotly markup."""
    figure = go.Figure(layout={"template": _TEMPLATE, "height": height})
    return figure.update_layout(xaxis_title_text=x_title, yaxis_title_text=y_title)


def error_bars(below: Sequence[float], above: Sequence[float]) -> dict[str, Any]:
    """Bars from each value minus `below` to that value plus `above`."""
    return {
        "type": "data", "symmetric": False, "array": above, "arrayminus": below,
        "thickness": 1.2, "width": 3, "color": DIM,
    }  # fmt: skip


def line_label(text: str, color: str, position: str) -> dict[str, Any]:
    """Arguments of `add_vline` and `add_hline` for a dashed line with a label."""
    return {
        "line": {"color": color, "width": 1.2, "dash": "dash"},
        "annotation_text": text,
        "annotation_position": position,
        "annotation_font": {"color": color, "size": 12},
    }

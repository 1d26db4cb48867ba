"""The look of every figure: one plotly template, colours, and traces with error bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from gnv2_nas.report.figures.files import FilePoints
from gnv2_nas.report.figures.points import Points
from gnv2_nas.search.study.metrics import Metric

FRONT = "#1795a0"
DIM = "#8a94a3"
BUDGET = "#d9622b"
KNEE = "#d6336c"
STOCK = "#8b5cf6"
FILE = "#4d7c0f"

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


ErrorBars = tuple[list[float], list[float]]
"""Lengths of the error bars below and above each point."""

COLOR_SCALE = "Viridis"
_STOCK_SYMBOLS = ("diamond", "square", "triangle-up", "star", "pentagon", "hexagram")


def _scatter(points: Points, name: str, **more: Any) -> go.Scatter:
    return go.Scatter(
        x=points.x, y=points.y, mode=more.pop("mode", "markers"), name=name,
        hovertext=points.hover, hoverinfo="text", customdata=points.trials, **more,
    )  # fmt: skip


def dominated(points: Points) -> go.Scatter:
    """Networks that keep every budget but are dominated."""
    marker = {"color": DIM, "size": 6, "opacity": 0.4}
    return _scatter(points, f"dominated ({points.shown})", marker=marker)


def infeasible(points: Points) -> go.Scatter:
    """Networks over a budget."""
    marker = {"color": DIM, "size": 6, "opacity": 0.5, "symbol": "x-thin-open"}
    return _scatter(points, f"over budget ({points.shown})", marker=marker)


def staircase(x: list[float], y: list[float]) -> go.Scatter:
    """Line through the front: the best value at each cost."""
    return go.Scatter(
        x=x, y=y, mode="lines", line={"color": FRONT, "width": 1.5, "shape": "hv"},
        opacity=0.8, hoverinfo="skip", showlegend=False, legendgroup="front",
    )  # fmt: skip


def front(
    points: Points,
    unstable: Sequence[bool] = (),
    errors: ErrorBars | None = None,
    colors: Sequence[float] = (),
    color: Metric | None = None,
) -> go.Scatter:
    """The front, coloured by `colors`, values of `color`; open circles: unstable latencies."""
    marker: dict[str, Any] = {"size": 11, "color": FRONT, "line": {"width": 1, "color": DIM}}
    if any(unstable):
        marker["symbol"] = ["circle-open" if one else "circle" for one in unstable]
    if color is not None and len(set(colors)) > 1:
        marker |= {"color": colors, "colorscale": COLOR_SCALE, "colorbar": _color_bar(color)}
    return _scatter(
        points, f"front, found ({points.shown})", marker=marker, legendgroup="front",
        error_x=errors and error_bars(*errors),
    )  # fmt: skip


def _color_bar(color: Metric) -> dict[str, Any]:
    return {
        "title": {"text": color.unit or color.title, "side": "top"},
        "thickness": 10,
        "outlinewidth": 0,
        "len": 0.9,
    }


def stock(points: Points, labels: Sequence[str], errors: ErrorBars | None = None) -> go.Scatter:
    """The stock networks, each with its own symbol and its name."""
    symbols = [_STOCK_SYMBOLS[n % len(_STOCK_SYMBOLS)] for n in range(len(points.names))]
    marker = {"color": STOCK, "size": 11, "symbol": symbols}
    return _scatter(
        points, f"stock networks ({points.total})", mode="markers+text", text=points.names,
        textposition=labels, textfont={"size": 11, "color": STOCK}, marker=marker,
        error_x=errors and error_bars(*errors),
    )  # fmt: skip


def files(points: FilePoints) -> go.Scatter:
    """Files of other tools, with their names."""
    return go.Scatter(
        x=points.x, y=points.y, mode="markers+text", name=f"files of other tools ({len(points.x)})",
        text=points.names, textposition="top center", textfont={"size": 11, "color": FILE},
        marker={"color": FILE, "size": 11, "symbol": "cross"}, hovertext=points.hover,
        hoverinfo="text", cliponaxis=False,
    )  # fmt: skip


def design(x: list[float], y: list[float]) -> go.Scatter:
    """Squares around the networks of the random initial design, in any group."""
    marker = {"size": 10, "symbol": "square-open", "color": DIM, "opacity": 0.7}
    return go.Scatter(
        x=x, y=y, mode="markers", name=f"random design ({len(x):,})", marker=marker,
        hoverinfo="skip",
    )  # fmt: skip


def recommended(x: float, y: float) -> go.Scatter:
    """Ring around the recommended network."""
    marker = {"size": 21, "symbol": "circle-open", "color": KNEE, "line": {"width": 2.5}}
    return go.Scatter(
        x=[x], y=[y], mode="markers", name="recommended", marker=marker, hoverinfo="skip"
    )

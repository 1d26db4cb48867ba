"""The groups of candidates as plotly traces, the same in every figure of the page.

Text, grid and background take the page's colours when it opens, in light and in dark.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from gnv2_nas.report.figures.points import Points
from gnv2_nas.search.study.metrics import Metric

Errors = tuple[list[float], list[float]]
"""Below and above each point."""

FRONT = "#1795a0"
DIM = "#8a94a3"
BUDGET = "#d9622b"
KNEE = "#d6336c"
STOCK = "#8b5cf6"
COLOR_SCALE = "Viridis"
_STOCK_SYMBOLS = ("diamond", "square", "triangle-up", "star", "pentagon", "hexagram")


def empty_figure(x: Metric, y: Metric) -> go.Figure:
    """Axes without points."""
    return go.Figure(
        layout={
            "template": "none",
            "xaxis": _axis(x),
            "yaxis": _axis(y),
            "hovermode": "closest",
            "dragmode": "zoom",
            "height": 520,
            "margin": {"l": 64, "r": 16, "t": 8, "b": 56},
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
        }
    )


def _axis(axis: Metric) -> dict[str, Any]:
    return {
        "title": {"text": html.escape(axis.axis_title, quote=False), "standoff": 10},
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "automargin": True,
    }


def _scatter(points: Points, name: str, **more: Any) -> go.Scatter:
    return go.Scatter(
        x=points.x, y=points.y, mode=more.pop("mode", "markers"), name=name,
        hovertext=points.hover, hoverinfo="text", customdata=points.trials, **more,
    )  # fmt: skip


def dominated(points: Points) -> go.Scatter:
    """Networks that keep the budgets and are beaten."""
    marker = {"color": DIM, "size": 6, "opacity": 0.4}
    return _scatter(points, f"dominated ({points.shown})", marker=marker)


def infeasible(points: Points) -> go.Scatter:
    """Networks that break a budget."""
    marker = {"color": DIM, "size": 6, "opacity": 0.5, "symbol": "x-thin-open"}
    return _scatter(points, f"over budget ({points.shown})", marker=marker)


def staircase(x: list[float], y: list[float]) -> go.Scatter:
    """The best that the front offers at each cost."""
    return go.Scatter(
        x=x, y=y, mode="lines", line={"color": FRONT, "width": 1.5, "shape": "hv"},
        opacity=0.8, hoverinfo="skip", showlegend=False, legendgroup="front",
    )  # fmt: skip


def front(
    points: Points,
    unstable: Sequence[bool] = (),
    errors: Errors | None = None,
    colors: Sequence[float] = (),
    color: Metric | None = None,
) -> go.Scatter:
    """The front, coloured by `colors` of the metric `color`; an open circle is a latency that
    is not trusted."""
    marker: dict[str, Any] = {"size": 11, "color": FRONT, "line": {"width": 1, "color": DIM}}
    if any(unstable):
        marker["symbol"] = ["circle-open" if one else "circle" for one in unstable]
    if color is not None and len(set(colors)) > 1:
        marker |= {"color": colors, "colorscale": COLOR_SCALE, "colorbar": _color_bar(color)}
    return _scatter(
        points, f"front, found ({points.shown})", marker=marker, error_x=_error_bar(errors),
        legendgroup="front",
    )  # fmt: skip


def _color_bar(color: Metric) -> dict[str, Any]:
    return {
        "title": {"text": color.unit or color.title, "side": "top"},
        "thickness": 10,
        "outlinewidth": 0,
        "len": 0.9,
    }


def _error_bar(errors: Errors | None) -> dict[str, Any] | None:
    if errors is None:
        return None
    below, above = errors
    return {
        "type": "data", "symmetric": False, "array": above, "arrayminus": below,
        "thickness": 1.2, "width": 3, "color": DIM,
    }  # fmt: skip


def stock(points: Points, labels: Sequence[str], errors: Errors | None = None) -> go.Scatter:
    """The published networks, each with its own symbol and its name."""
    symbols = [_STOCK_SYMBOLS[n % len(_STOCK_SYMBOLS)] for n in range(len(points.names))]
    marker = {"color": STOCK, "size": 11, "symbol": symbols}
    return _scatter(
        points, f"stock networks ({points.total})", mode="markers+text", text=points.names,
        textposition=labels, textfont={"size": 11, "color": STOCK}, marker=marker,
        error_x=_error_bar(errors),
    )  # fmt: skip


def design(x: list[float], y: list[float]) -> go.Scatter:
    """A light frame around the networks of the random design, whatever group they are in."""
    marker = {"size": 10, "symbol": "square-open", "color": DIM, "opacity": 0.7}
    return go.Scatter(
        x=x, y=y, mode="markers", name=f"random design ({len(x):,})", marker=marker,
        hoverinfo="skip",
    )  # fmt: skip


def knee(x: float, y: float, name: str) -> go.Scatter:
    """A ring around the best compromise."""
    marker = {"size": 21, "symbol": "circle-open", "color": KNEE, "line": {"width": 2.5}}
    return go.Scatter(x=[x], y=[y], mode="markers", name=name, marker=marker, hoverinfo="skip")

"""Ratios of modules: measured with intervals, and beside each what multiply-adds promise."""

from __future__ import annotations

import html
from collections.abc import Sequence

import plotly.graph_objects as go

from gnv2_nas.measurement.modules.findings import MeasuredComparison, Row
from gnv2_nas.report.figures.theme import (
    BUDGET,
    DIM,
    FRONT,
    KNEE,
    STOCK,
    empty_figure,
    error_bars,
)

_COLORS = (FRONT, BUDGET, STOCK, KNEE, "#2f6fde", "#a3861a")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star", "hexagram")
_SPREAD = 0.64
"""Width of the points of one group, in groups."""
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_FINE_TICKS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5)
_FINE_SPAN = 8.0
"""Largest over smallest ratio up to which the ticks are the fine ones."""


def modules_figure(comparison: MeasuredComparison) -> go.Figure:
    """Groups to the right, ratios up on a log scale. The more numerous of places and variants are
    the groups; the others have a colour each."""
    rows = [row for row in comparison.rows if row.variant != comparison.reference]
    places = list(dict.fromkeys("<br>".join(map(html.escape, row.place)) for row in rows))
    variants = [html.escape(pooled.variant) for pooled in comparison.pooled]
    by_place = len(places) >= len(variants)
    groups, series = (places, variants) if by_place else (variants, places)
    title = "speed-up" if comparison.speed_up else "relative time"
    figure = empty_figure("", title, height=460)
    for number, name in enumerate(series):
        shift = _SPREAD * ((number + 0.5) / len(series) - 0.5)
        mine = [row for row in rows if _names(row)[not by_place] == name]
        x = [groups.index(_names(row)[by_place]) + shift for row in mine]
        color = _COLORS[number % len(_COLORS)]
        symbol = _SYMBOLS[number % len(_SYMBOLS)]
        label = name.replace("<br>", ", ")
        figure.add_trace(_theory(mine, x, color, label))
        figure.add_trace(_measured(mine, x, color, symbol, label))
    figure.add_trace(
        go.Scatter(
            x=[None], y=[None], mode="markers", name="theory",
            marker={"symbol": "line-ew-open", "size": 13, "color": DIM},
        )
    )  # fmt: skip
    ratios = [row.theory for row in rows] + [row.ratio.value for row in rows if row.ratio]
    ticks = _FINE_TICKS if max(ratios) <= _FINE_SPAN * min(ratios) else _TICKS
    figure.add_hline(1, line={"color": DIM, "width": 1, "dash": "dash"})
    return figure.update_layout(
        xaxis={
            "tickvals": list(range(len(groups))), "ticktext": groups, "showgrid": False,
            "range": [-0.6, len(groups) - 0.4], "tickangle": 0, "tickfont": {"size": 11},
        },
        yaxis={"type": "log", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]},
    )  # fmt: skip


def _names(row: Row) -> tuple[str, str]:
    """The variant and the place of a row, as they are shown."""
    return html.escape(row.variant), "<br>".join(map(html.escape, row.place))


def _theory(rows: Sequence[Row], x: Sequence[float], color: str, label: str) -> go.Scatter:
    return go.Scatter(
        x=x, y=[_short(row.theory) for row in rows], mode="markers", legendgroup=label,
        showlegend=False, opacity=0.75,
        marker={"symbol": "line-ew-open", "size": 11, "color": color, "line": {"width": 2}},
        hovertext=[f"{_describe(row)}: {row.theory:.3g} in theory" for row in rows],
        hoverinfo="text",
    )  # fmt: skip


def _measured(
    rows: Sequence[Row], x: Sequence[float], color: str, symbol: str, label: str
) -> go.Scatter:
    known = [(place, row, row.ratio) for place, row in zip(x, rows, strict=True) if row.ratio]
    bars = error_bars(
        [_short(ratio.value - ratio.low) for _, _, ratio in known],
        [_short(ratio.high - ratio.value) for _, _, ratio in known],
    )
    return go.Scatter(
        x=[place for place, _, _ in known],
        y=[_short(ratio.value) for _, _, ratio in known],
        mode="markers", name=label, legendgroup=label, error_y=bars | {"color": color},
        marker={"size": 8, "color": color, "symbol": symbol},
        hovertext=[
            f"{_describe(row)}: {ratio.value:.3g} ({ratio.low:.3g} to {ratio.high:.3g})"
            f"<br>{row.ms:.3g} ms; {row.theory:.3g} in theory"
            for _, row, ratio in known
        ],
        hoverinfo="text",
    )  # fmt: skip


def _describe(row: Row) -> str:
    variant, place = _names(row)
    return f"{variant}, {place.replace('<br>', ', ')}"


def _short(value: float) -> float:
    """Four significant digits: enough for a point."""
    return float(f"{value:.4g}")

"""Accuracy against latency of the networks of an evaluation, with intervals of both."""

from __future__ import annotations

import plotly.graph_objects as go

from gnv2_nas.evaluation.entrants import Role
from gnv2_nas.evaluation.results import Result, Table
from gnv2_nas.report.figures.theme import DIM, FILE, KNEE, STOCK, empty_figure, error_bars

_GROUPS: dict[Role, tuple[str, str, str]] = {
    "pick": ("the pick", KNEE, "circle"),
    "stock": ("stock networks", STOCK, "diamond"),
    "random": ("random networks", DIM, "square"),
    "named": ("named rivals", FILE, "cross"),
}
"""Role → name, colour and symbol."""


def evaluation_figure(table: Table) -> go.Figure:
    """Every network of a table, by role."""
    figure = empty_figure(f"latency on {_escape(table.device)}, ms", "accuracy, %", height=440)
    for role, (name, color, symbol) in _GROUPS.items():
        members = [each for each in table.results if each.role == role]
        if members:
            figure.add_trace(_scatter(members, name, color, symbol))
    return figure


def _scatter(members: list[Result], name: str, color: str, symbol: str) -> go.Scatter:
    own = [each.latency.own_ci95() for each in members]
    ms = [each.latency.ms for each in members]
    accuracies = [each.accuracy for each in members]
    return go.Scatter(
        x=ms,
        y=[100 * each.value for each in accuracies],
        name=f"{name} ({len(members)})",
        mode="markers+text",
        text=[_escape(each.label) for each in members],
        textposition="top center",
        textfont={"size": 11, "color": color},
        marker={"color": color, "size": 11, "symbol": symbol},
        error_x=error_bars(
            [at - low for at, (low, _) in zip(ms, own, strict=True)],
            [high - at for at, (_, high) in zip(ms, own, strict=True)],
        ),
        error_y=error_bars(
            [100 * (each.value - each.low) for each in accuracies],
            [100 * (each.high - each.value) for each in accuracies],
        ),
        hoverinfo="x+y+text",
        cliponaxis=False,
    )


def _escape(text: str) -> str:
    """Escape what plotly would read as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

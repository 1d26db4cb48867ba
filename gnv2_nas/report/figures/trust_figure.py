"""Reliability of the scores: rank correlations and intervals, one line per estimator."""

from __future__ import annotations

import html
from collections.abc import Sequence

import msgspec
import plotly.graph_objects as go

from gnv2_nas.quality.trust.panel import BASELINE, TrustPanel
from gnv2_nas.report.figures.theme import (
    DIM,
    FRONT,
    STOCK,
    empty_figure,
    error_bars,
    line_label,
)
from gnv2_nas.stats.rank_agreement import RankAgreement

_BETWEEN = 0.16
"""Distance of the two intervals from the middle of a line, in lines."""


class TrustLine(msgspec.Struct, frozen=True):
    """One estimator."""

    title: str
    color: str
    strong: bool
    """Whether it is the score of this study, in bold."""
    overall: RankAgreement | None
    band: RankAgreement | None


class TrustInfo(msgspec.Struct, frozen=True):
    """Data of the figure, from top to bottom."""

    lines: list[TrustLine]
    baseline: float | None
    """τ of the parameter count, in band if known."""


def trust_info(panel: TrustPanel, spec: str) -> TrustInfo:
    chosen = panel.of(spec)
    lines = []
    for each in panel.estimators:
        strong = each is chosen
        color = FRONT if strong else STOCK if each.spec == BASELINE else DIM
        lines.append(TrustLine(each.title, color, strong, each.overall, each.band))
    if panel.ceiling is not None:
        lines.append(TrustLine("a second training", DIM, False, panel.ceiling, panel.ceiling_band))
    lines.sort(key=_rank)
    sizes = panel.of(BASELINE)
    known = sizes and (sizes.band or sizes.overall)
    return TrustInfo(lines, known.tau if known else None)


def _rank(line: TrustLine) -> float:
    known = line.band or line.overall
    return 2.0 if known is None else -known.tau


def trust_figure(info: TrustInfo) -> go.Figure:
    """τ to the right; filled in band, open overall."""
    rows = len(info.lines)
    figure = empty_figure("Kendall τ with trained accuracy", "", height=110 + 38 * rows)
    figure.update_layout(
        margin_t=24,
        xaxis={"range": [_find_lowest(info.lines) - 0.04, 1.02], "zeroline": True,
               "zerolinecolor": DIM},
        yaxis={"range": (rows - 0.5, -0.5), "showgrid": False, "tickvals": list(range(rows)),
               "ticktext": [_label(line) for line in info.lines]},
    )  # fmt: skip
    figure.add_trace(_intervals(info.lines, "overall", "circle-open", _BETWEEN))
    figure.add_trace(_intervals(info.lines, "band", "circle", -_BETWEEN))
    if info.baseline is not None:
        figure.add_vline(info.baseline, **line_label("parameters", STOCK, "top right"))
    return figure


def _intervals(lines: Sequence[TrustLine], which: str, symbol: str, shift: float) -> go.Scatter:
    known = [
        (place + shift, line, agreement)
        for place, line in enumerate(lines)
        if (agreement := getattr(line, which)) is not None
    ]
    return go.Scatter(
        x=[round(agreement.tau, 3) for _, _, agreement in known],
        y=[place for place, _, _ in known],
        mode="markers",
        name="in the budget band" if which == "band" else "overall",
        marker={"symbol": symbol, "size": 10, "color": [line.color for _, line, _ in known]},
        hovertext=[
            f"{html.escape(line.title)}: {agreement}, {agreement.networks} networks"
            for _, line, agreement in known
        ],
        hoverinfo="text",
        error_x=error_bars(
            [round(agreement.tau - agreement.low, 3) for _, _, agreement in known],
            [round(agreement.high - agreement.tau, 3) for _, _, agreement in known],
        ),
    )


def _find_lowest(lines: Sequence[TrustLine]) -> float:
    """The lowest end of any interval, at most 0."""
    found = [
        agreement.low for line in lines for agreement in (line.overall, line.band) if agreement
    ]
    return min([0.0, *found])


def _label(line: TrustLine) -> str:
    title = html.escape(line.title)
    return f"<b>{title}</b>" if line.strong else title

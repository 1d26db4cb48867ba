"""Hypervolume over evaluations: `convergence_info` collects, `convergence_figure` draws."""

from __future__ import annotations

import msgspec
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from gnv2_nas.report.figures.theme import DIM, FRONT, empty_figure
from gnv2_nas.search.analysis.convergence import (
    PATIENCE,
    ExpectedGain,
    accumulate_hypervolume,
    estimate_gain,
    is_flat,
    scale_losses,
)
from gnv2_nas.search.study.metrics import format_share
from gnv2_nas.search.study.records import StudyRecord

MIN_EVALUATIONS = 10
"""Evaluations needed to draw a line."""
LOOK_AHEAD = 100
"""Evaluations that the forecast covers, at most the number already made."""
_MAX_ORDERS = 100
_MAX_ORDERED = 20_000
"""Networks in all random orders together, so that a long random search stays cheap."""
_BAND = "rgba(138, 148, 163, 0.22)"


class RandomLine(msgspec.Struct, frozen=True):
    """Hypervolume of stock networks and the random initial design, over orders of the design."""

    networks: int
    """Number of networks in the design."""
    x: list[int]
    mean: list[float]
    low: list[float]
    """Tenth percentile over the orders."""
    high: list[float]
    """Ninetieth percentile."""


class ConvergenceInfo(msgspec.Struct, frozen=True):
    """Data of the figure; hypervolumes are shares of the box around the front."""

    evaluated: int
    x: list[int]
    """Numbers of evaluations: the first, each that increased the hypervolume, the last."""
    y: list[float]
    trials: list[int]
    random: RandomLine | None
    """None without a random design, or when the study contains nothing else."""
    left: ExpectedGain | None
    recent: float
    """Relative growth over the last `PATIENCE` evaluations."""
    flat: bool


def convergence_info(record: StudyRecord) -> ConvergenceInfo | None:
    """Data of the figure; None after too few evaluations or without a feasible network."""
    trials = record.trials
    scaled = scale_losses(trials, record.settings.objectives)
    history = accumulate_hypervolume(scaled)
    if len(history) < MIN_EVALUATIONS or history[-1] <= 0:
        return None
    grown = np.flatnonzero(np.diff(history, prepend=-1.0) > 0)
    rows = sorted({*grown.tolist(), len(history) - 1})
    before = history[-1 - PATIENCE] if len(history) > PATIENCE else 0.0
    return ConvergenceInfo(
        evaluated=len(history),
        x=[row + 1 for row in rows],
        y=[round(float(history[row]), 5) for row in rows],
        trials=[trials[row].number for row in rows],
        random=_random_line(record, scaled),
        left=estimate_gain(history, min(LOOK_AHEAD, len(history))),
        recent=float(1 - before / history[-1]),
        flat=is_flat(history),
    )


def _random_line(record: StudyRecord, scaled: NDArray[np.float64]) -> RandomLine | None:
    """Mean over random orders, because the order of the design was random."""
    stock = [row for row, one in enumerate(record.trials) if one.baseline]
    design = [row for row, one in enumerate(record.trials) if one.origin == "random"]
    if not design or len(stock) + len(design) == len(record.trials):
        return None
    rng = np.random.default_rng(0)
    orders = int(np.clip(_MAX_ORDERED // len(design), 1, _MAX_ORDERS))
    found = np.array(
        [
            accumulate_hypervolume(scaled[[*stock, *rng.permutation(design)]])[len(stock) :]
            for _ in range(orders)
        ]
    )
    low, high = np.quantile(found, [0.1, 0.9], axis=0)
    return RandomLine(
        networks=len(design),
        x=[len(stock) + n for n in range(1, len(design) + 1)],
        mean=found.mean(axis=0).round(5).tolist(),
        low=low.round(5).tolist(),
        high=high.round(5).tolist(),
    )


def describe_convergence(info: ConvergenceInfo) -> list[str]:
    """The figure in words."""
    lines = []
    if info.random is not None and info.random.mean[-1] > 0:
        gain = info.y[-1] / info.random.mean[-1] - 1
        lines.append(
            f"The hypervolume is {format_share(gain)} larger than that of the stock networks and "
            f"the {info.random.networks:,} networks of the random design alone. Random search did "
            "not continue, so this is not a comparison at equal numbers of evaluations."
        )
    if info.left is not None:
        left = info.left
        lines.append(
            f"Rough forecast: {left.evaluations} more evaluations would add about "
            f"{format_share(left.expected)} if improvements become rarer as records do, "
            f"{format_share(left.low)} if they fade faster, and {format_share(left.high)} if they "
            "continue at the recent rate."
        )
    if info.evaluated > PATIENCE:
        lines.append(
            f"The last {PATIENCE} evaluations added {format_share(info.recent)}"
            f"{', so the search is flat by the rule of --stop-when-flat.' if info.flat else '.'}"
        )
    return lines


def convergence_figure(info: ConvergenceInfo) -> go.Figure:
    """The search as a staircase; the random design in grey, dotted after its end."""
    figure = empty_figure("networks evaluated, stock included", "hypervolume", height=340)
    if info.random is not None:
        for trace in _random_traces(info.random, info.evaluated):
            figure.add_trace(trace)
    figure.add_trace(
        go.Scatter(
            x=info.x, y=info.y, mode="lines+markers", name="this search",
            line={"color": FRONT, "width": 2, "shape": "hv"}, marker={"size": 4},
            customdata=info.trials, hoverinfo="text",
            hovertext=[
                f"trial {trial}: {value:.3f} after {place:,}"
                for place, value, trial in zip(info.x, info.y, info.trials, strict=True)
            ],
        )
    )  # fmt: skip
    return figure


def _random_traces(random: RandomLine, evaluated: int) -> list[go.Scatter]:
    """Band, mean, and final level."""
    return [
        go.Scatter(
            x=[*random.x, *reversed(random.x)], y=[*random.high, *reversed(random.low)],
            fill="toself", fillcolor=_BAND, line={"width": 0}, mode="lines", hoverinfo="skip",
            showlegend=False, legendgroup="random",
        ),
        go.Scatter(
            x=random.x, y=random.mean, mode="lines", legendgroup="random",
            name=f"stock and random design ({random.networks:,})",
            line={"color": DIM, "width": 2}, hoverinfo="x+y",
        ),
        go.Scatter(
            x=[random.x[-1], evaluated], y=[random.mean[-1]] * 2, mode="lines",
            line={"color": DIM, "width": 1.5, "dash": "dot"}, hoverinfo="skip", showlegend=False,
            legendgroup="random",
        ),
    ]  # fmt: skip

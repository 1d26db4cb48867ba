"""The page of a training: loss, learning rate and held-out accuracy against the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import plotly.graph_objects as go

from gnv2_nas.report.figures.theme import (
    DIM,
    FRONT,
    KNEE,
    STOCK,
    empty_figure,
    error_bars,
    line_label,
)
from gnv2_nas.report.rendering import figure_json, render
from gnv2_nas.stats.intervals import wilson_interval
from gnv2_nas.training.history import TrainingPoint


class TrainingReport(msgspec.Struct, frozen=True):
    """Text and conditions of a training."""

    title: str
    data: str
    """Name of the data set."""
    held_out: int
    """Number of held-out images."""
    chance: float
    """Accuracy of always predicting the most frequent class, 0 to 1."""
    headline: str
    next_command: str
    facts: tuple[tuple[str, str], ...]
    """(name, value) of each condition."""
    supernet: bool = False


def render_training_page(training: TrainingReport, history: Sequence[TrainingPoint]) -> str:
    """The HTML of the page."""
    evaluated = [point for point in history if point.accuracy is not None]
    values: dict[str, Any] = {
        "training": training,
        "loss_figure": figure_json(loss_figure(history)) if history else None,
        "accuracy_figure": figure_json(accuracy_figure(training, evaluated)) if evaluated else None,
        "notes": [(point.step, point.note) for point in history if point.note],
    }
    return render("training.html", values)


def loss_figure(history: Sequence[TrainingPoint]) -> go.Figure:
    """Loss on the left axis, learning rate on the right."""
    steps = [point.step for point in history]
    figure = _step_figure("loss on training images")
    figure.add_trace(
        go.Scatter(
            x=steps, y=[_short(point.learning_rate) for point in history], name="learning rate",
            mode="lines", yaxis="y2", line={"color": DIM, "width": 1, "dash": "dot"},
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=steps, y=[_short(point.loss) for point in history], name="loss",
            mode="lines", line={"color": FRONT, "width": 2},
        )
    )  # fmt: skip
    figure.update_layout(
        yaxis2={
            "title": {"text": "learning rate"}, "overlaying": "y", "side": "right",
            "showgrid": False, "rangemode": "tozero", "tickmode": "auto", "nticks": 6,
        }
    )  # fmt: skip
    return figure


def accuracy_figure(training: TrainingReport, evaluated: Sequence[TrainingPoint]) -> go.Figure:
    """Held-out accuracy in per cent with 95 % intervals; two curves for a supernet."""
    figure = _step_figure("held-out accuracy, %")
    name = "largest network" if training.supernet else "accuracy"
    curves = [(name, FRONT, [(point.step, point.accuracy) for point in evaluated])]
    if training.supernet:
        smallest = [(point.step, point.smallest_accuracy) for point in evaluated]
        curves.append(("smallest network", STOCK, smallest))
    for label, color, points in curves:
        known = [(step, share) for step, share in points if share is not None]
        if known:
            figure.add_trace(_curve(label, color, known, training.held_out))
    chance = line_label("most frequent class", KNEE, "top left")
    figure.add_hline(100 * training.chance, **chance)
    return figure


def _curve(name: str, color: str, known: Sequence[tuple[int, float]], held_out: int) -> go.Scatter:
    intervals = [wilson_interval(round(share * held_out), held_out) for _, share in known]
    pairs = list(zip(known, intervals, strict=True))
    return go.Scatter(
        x=[step for step, _ in known],
        y=[_short(100 * share) for _, share in known],
        name=name,
        mode="lines+markers",
        line={"color": color, "width": 2},
        marker={"size": 7},
        error_y=error_bars(
            [_short(100 * max(share - low, 0)) for (_, share), (low, _) in pairs],
            [_short(100 * max(high - share, 0)) for (_, share), (_, high) in pairs],
        ),
    )


def _step_figure(y_title: str) -> go.Figure:
    figure = empty_figure("step", y_title, height=400)
    return figure.update_layout(hovermode="x unified", margin_r=64)


def _short(value: float) -> float:
    """Four significant digits: enough for a curve."""
    return float(f"{value:.4g}")

"""Trials as points of a scatter: which are drawn, where, and their hover texts."""

from __future__ import annotations

import html

import msgspec
import numpy as np
import pandas as pd

from gnv2_nas.report.frames import describe_architecture
from gnv2_nas.report.wording import format_excess
from gnv2_nas.search.study.metrics import METRICS, Metric, get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.units import format_quantity

DOMINATED_DRAWN = 1000
INFEASIBLE_DRAWN = 400
FRONT_DRAWN = 1000


class Points(msgspec.Struct, frozen=True):
    """Trials of one group; every list has one entry per trial drawn."""

    rows: list[int]
    """Rows of the frame, indices into `record.trials`."""
    trials: list[int]
    names: list[str]
    """Names of stock networks; "" for others."""
    x: list[float]
    y: list[float]
    hover: list[str]
    """Hover texts in plotly's markup."""
    total: int
    """Number of trials in the group, drawn or not."""

    @property
    def shown(self) -> str:
        """ "1,500 of 9,412 drawn", or their number when all are drawn."""
        drawn = len(self.rows)
        return f"{drawn:,}" if drawn == self.total else f"{drawn:,} of {self.total:,} drawn"


class PointGroups(msgspec.Struct, frozen=True):
    """All trials with a value on both axes, each in one group."""

    front: Points
    dominated: Points
    infeasible: Points
    stock: Points

    @property
    def drawn(self) -> int:
        """Number of points in the figure."""
        groups = (self.front, self.dominated, self.infeasible, self.stock)
        return sum(len(points.rows) for points in groups)


def group_points(record: StudyRecord, frame: pd.DataFrame, x: Metric, y: Metric) -> PointGroups:
    """Sort trials into the groups of a figure, in the units of the axes.

    Large groups are thinned evenly along `x`, so that the page opens quickly.
    """
    known = to_axis_units(frame, x).notna() & to_axis_units(frame, y).notna()
    stock = frame["baseline"] != ""
    found, feasible, front = known & ~stock, frame["feasible"], frame["front"]

    def points(chosen: pd.Series, limit: int | None) -> Points:
        return _points(record, frame[chosen], x, y, limit)

    return PointGroups(
        front=points(found & front, FRONT_DRAWN),
        dominated=points(found & feasible & ~front, DOMINATED_DRAWN),
        infeasible=points(found & ~feasible, INFEASIBLE_DRAWN),
        stock=points(known & stock, None),
    )


def axis_titles(x: Metric, y: Metric) -> tuple[str, str]:
    """Titles of both axes, as plotly markup."""
    return html.escape(x.axis_title, quote=False), html.escape(y.axis_title, quote=False)


def to_axis_units(frame: pd.DataFrame, axis: Metric, suffix: str = "") -> pd.Series:
    """A column in the unit of its axis."""
    series: pd.Series = frame[suffix or axis.column] / axis.scale
    return series


def _points(
    record: StudyRecord, frame: pd.DataFrame, x: Metric, y: Metric, limit: int | None
) -> Points:
    ordered = frame.iloc[np.argsort(to_axis_units(frame, x).to_numpy(), kind="stable")]
    total = len(ordered)
    if limit is not None and total > limit:
        ordered = ordered.iloc[np.linspace(0, total - 1, limit).round().astype(int)]
    rows = [int(row) for row in ordered.index]
    return Points(
        rows=rows,
        trials=ordered["trial"].tolist(),
        names=ordered["baseline"].tolist(),
        hover=[_hover(record, record.trials[row]) for row in rows],
        x=_round(to_axis_units(ordered, x)),
        y=_round(to_axis_units(ordered, y)),
        total=total,
    )


def _round(series: pd.Series) -> list[float]:
    """Six significant digits: enough for a screen, at half the size."""
    return [float(f"{value:.6g}") for value in series]


def _hover(record: StudyRecord, trial: Trial) -> str:
    name = f"trial {trial.number}"
    lines = [*_measured(record, trial), *describe_architecture(trial.architecture)]
    if not trial.feasible:
        lines.append(format_excess(trial))
    title = f"{trial.baseline} (stock, {name})" if trial.baseline else name
    return "<br>".join([f"<b>{html.escape(title)}</b>", *map(html.escape, lines)])


def _measured(record: StudyRecord, trial: Trial) -> list[str]:
    lines = []
    if trial.quality is not None:
        quality = get_metric("quality", record.quality_info)
        lines.append(f"{quality.title} {quality.format(trial.quality)}")
    latency = trial.latency
    if latency is not None:
        low, high = latency.ci95
        lines.append(
            f"{format_quantity('time', latency.ms)} (95% interval {low:.2f} to {high:.2f}), "
            f"{latency.ratio:.3f} × stock V2 1.0"
        )
        if not latency.stable:
            lines.append(f"latency not stable: {latency.reason}")
    known = [each for each in METRICS.values() if each.count or each.name in trial.measured]
    lines.append(", ".join(each.format(each.value(trial)) for each in known))
    return lines

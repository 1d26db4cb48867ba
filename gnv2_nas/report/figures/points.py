"""Trials as points of a scatter: which are drawn, where, and the axis ranges around them."""

from __future__ import annotations

import html

import msgspec
import numpy as np
import pandas as pd

from gnv2_nas.report.frames import describe_architecture
from gnv2_nas.report.wording import describe_latency, format_excess
from gnv2_nas.search.analysis.baselines import is_scaled
from gnv2_nas.search.analysis.rivals import find_stock
from gnv2_nas.search.study.metrics import METRICS, Metric, get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial

DOMINATED_DRAWN = 1000
INFEASIBLE_DRAWN = 400
FRONT_DRAWN = 1000


class Points(msgspec.Struct, frozen=True):
    """Trials of one group; every list has one entry per trial drawn."""

    rows: list[int]
    """Rows of the frame, indices into `record.trials`."""
    trials: list[int]
    names: list[str]
    """Names of stock networks; "" for others, and for scaled ones that nothing is compared with."""
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


def to_axis_units(frame: pd.DataFrame, axis: Metric) -> pd.Series:
    """A column in the unit of its axis."""
    series: pd.Series = frame[axis.column] / axis.scale
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
        names=_names(record, ordered["baseline"].tolist()),
        hover=[_hover(record, record.trials[row]) for row in rows],
        x=_round(to_axis_units(ordered, x)),
        y=_round(to_axis_units(ordered, y)),
        total=total,
    )


def _names(record: StudyRecord, labels: list[str]) -> list[str]:
    """Names to write into a figure, which has no room for those of all scaled networks."""
    compared = find_stock(record.trials, record.settings)
    shown = compared.baseline if compared else ""
    return ["" if is_scaled(label) and label != shown else label for label in labels]


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
    for label, latency in trial.measured_on.items():
        on = f"{label}: " if len(trial.latencies) > 1 else ""
        lines.append(f"{on}{describe_latency(latency)}")
        if not latency.stable:
            lines.append(f"{on}latency not stable: {latency.reason}")
    counted = [name for name, each in METRICS.items() if each.count]
    known = map(get_metric, [*counted, *trial.measured])
    lines.append(", ".join(each.format(each.value(trial)) for each in known))
    return lines


AxisRange = tuple[float, float]

_MARGIN = 0.06
_ROOM_FOR_BUDGETS = 0.35
"""Largest distance of a drawn budget from the networks, in widths of the plot."""


def find_axis_ranges(groups: PointGroups) -> tuple[AxisRange, AxisRange]:
    """Ranges of x and y around feasible and stock networks; around all if none is feasible."""
    shown = [groups.front, groups.dominated, groups.stock]
    if not (groups.front.rows or groups.dominated.rows):
        shown.append(groups.infeasible)
    return (
        _pad([value for points in shown for value in points.x]),
        _pad([value for points in shown for value in points.y]),
    )


def _pad(values: list[float]) -> AxisRange:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    room = _MARGIN * (high - low) or abs(high) * _MARGIN or 1.0
    return low - room, high + room


def is_near(extent: AxisRange, value: float) -> bool:
    """Whether `value` can be shown without compressing the rest."""
    room = _ROOM_FOR_BUDGETS * (extent[1] - extent[0])
    return extent[0] - room <= value <= extent[1] + room


def stretch(extent: AxisRange, value: float) -> AxisRange:
    """`extent`, extended to include `value` with a margin."""
    room = _MARGIN * (extent[1] - extent[0])
    return min(extent[0], value - room), max(extent[1], value + room)


_PLOT = (900.0, 400.0)
"""Approximate width and height of a figure on a desktop, pixels."""
_LETTER, _LINE, _SYMBOL = 6.4, 14.0, 9.0
_SIDES = {
    "middle right": (1, 0), "bottom right": (1, 1), "top right": (1, -1), "middle left": (-1, 0),
    "bottom left": (-1, 1), "top left": (-1, -1), "bottom center": (0, 1), "top center": (0, -1),
}  # fmt: skip
"""Plotly's text positions → direction of the text from the symbol (right, down)."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom; pixels."""


def place_labels(groups: PointGroups, x_range: AxisRange, y_range: AxisRange) -> list[str]:
    """One plotly text position per stock network.

    Chosen greedily for the least overlap with symbols, earlier names and the edge.
    """
    places = [
        _pixels(x, y, x_range, y_range)
        for points in (groups.stock, groups.front)
        for x, y in zip(points.x, points.y, strict=True)
    ]
    taken = [_around(*place) for place in places]
    positions = []
    for name, place in zip(groups.stock.names, places, strict=False):
        boxes = {side: _box(*place, name, side) for side in _SIDES}
        side = min(boxes, key=lambda one: _outside(boxes[one]) + _overlap(boxes[one], taken))
        positions.append(side)
        taken.append(boxes[side])
    return positions


def _pixels(x: float, y: float, x_range: AxisRange, y_range: AxisRange) -> tuple[float, float]:
    return (
        _PLOT[0] * (x - x_range[0]) / (x_range[1] - x_range[0]),
        _PLOT[1] * (y_range[1] - y) / (y_range[1] - y_range[0]),
    )


def _around(x: float, y: float) -> Box:
    half = _SYMBOL / 1.5
    return x - half, y - half, x + half, y + half


def _box(x: float, y: float, name: str, side: str) -> Box:
    right, down = _SIDES[side]
    width = _LETTER * len(name)
    center_x = x + right * (width / 2 + _SYMBOL)
    center_y = y + down * (_LINE / 2 + _SYMBOL * (0.5 if right else 1))
    half = width / 2
    return center_x - half, center_y - _LINE / 2, center_x + half, center_y + _LINE / 2


def _overlap(box: Box, others: list[Box]) -> float:
    return sum(
        max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
        * max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
        for other in others
    )


def _outside(box: Box) -> float:
    """Area beyond the plot, weighted: a covered name is better than a cut one."""
    across = max(0.0, -box[0]) + max(0.0, box[2] - _PLOT[0])
    down = max(0.0, -box[1]) + max(0.0, box[3] - _PLOT[1])
    return 3 * (across * _LINE + down * (box[2] - box[0]))

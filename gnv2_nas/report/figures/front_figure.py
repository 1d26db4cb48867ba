"""The front as a scatter: `front_info` collects, `front_figure` draws."""

from __future__ import annotations

import html
import math
from typing import Literal

import msgspec
import pandas as pd
import plotly.graph_objects as go

from gnv2_nas.report.figures import theme
from gnv2_nas.report.figures import theme as traces
from gnv2_nas.report.figures.files import FilePoints, place_files
from gnv2_nas.report.figures.points import (
    AxisRange,
    PointGroups,
    axis_titles,
    find_axis_ranges,
    group_points,
    is_near,
    place_labels,
    stretch,
    to_axis_units,
)
from gnv2_nas.search.study.metric_names import order_of
from gnv2_nas.search.study.metrics import Metric, get_metric
from gnv2_nas.search.study.records import StudyRecord


class BudgetLine(msgspec.Struct, frozen=True):
    """A budget on the metric of an axis, in the unit of that axis."""

    axis: Literal["x", "y"]
    value: float
    text: str


class FrontInfo(msgspec.Struct, frozen=True):
    """Data of the figure, in the units of the axes."""

    x: Metric
    y: Metric
    color: Metric
    groups: PointGroups
    colors: list[float]
    """Colour value of each member of the front."""
    errors: dict[str, tuple[list[float], list[float]]]
    """Group → (below, above) on the x axis; empty unless x is latency."""
    unstable: list[bool]
    """Whether the latency of each member of the front is unstable."""
    staircase: tuple[list[float], list[float]]
    """Corners of the front, stock included; empty unless the axes are the two objectives."""
    design: tuple[list[float], list[float]]
    """Networks of the random initial design; empty when all networks are."""
    recommended: tuple[float, float] | None
    budgets: list[BudgetLine]
    budgets_outside: list[str]
    """Budgets on an axis that are too far away to be drawn."""
    files: FilePoints
    x_range: AxisRange
    y_range: AxisRange


def choose_axes(record: StudyRecord) -> tuple[Metric, Metric, Metric]:
    """The metrics of x axis, y axis and colour.

    Quality is on y and the first cost on x; objectives come before other measured metrics. The
    colour is the third objective, else FLOPs, else parameters.
    """
    names: list[str] = list(record.settings.objectives)
    if any(one.quality is not None for one in record.trials):
        names.append("quality")
    if any(one.latency is not None for one in record.trials):
        names.append("latency")
    names = list(dict.fromkeys([*names, "macs", "params"]))
    # Costs in the order of the table, then quality.
    x, y = sorted(
        names[:2], key=lambda name: (get_metric(name).direction == "maximize", order_of(name))
    )
    color = names[2] if len(record.settings.objectives) > 2 else _color(x, y)
    quality = record.quality_info
    return get_metric(x, quality), get_metric(y, quality), get_metric(color, quality)


def _color(x: str, y: str) -> str:
    return "params" if "macs" in (x, y) else "macs"


def front_info(record: StudyRecord, frame: pd.DataFrame, recommended: int | None) -> FrontInfo:
    """Data of the figure; `recommended` is the number of a trial."""
    x, y, color = choose_axes(record)
    groups = group_points(record, frame, x, y)
    members = frame.loc[groups.front.rows]
    x_range, y_range = find_axis_ranges(groups)
    budgets = _budget_lines(record, x, y)
    near = [
        line for line in budgets if is_near(x_range if line.axis == "x" else y_range, line.value)
    ]
    for line in near:
        if line.axis == "x":
            x_range = stretch(x_range, line.value)
        else:
            y_range = stretch(y_range, line.value)
    files = place_files(record, x, y, x_range, y_range)
    for place in files.x:
        x_range = stretch(x_range, place) if not x_range[0] <= place <= x_range[1] else x_range
    return FrontInfo(
        x=x, y=y, color=color, groups=groups,
        colors=[float(f"{value:.4g}") for value in to_axis_units(members, color)],
        errors=_errors(frame, groups, x) if x.base == "latency" else {},
        unstable=[not record.trials[row].is_stable for row in groups.front.rows],
        staircase=_staircase(record, frame, x, y),
        design=_design(record, groups),
        recommended=_place(frame, x, y, recommended),
        budgets=near,
        budgets_outside=[line.text for line in budgets if line not in near],
        files=files, x_range=x_range, y_range=y_range,
    )  # fmt: skip


def _budget_lines(record: StudyRecord, x: Metric, y: Metric) -> list[BudgetLine]:
    lines = []
    for budget in record.settings.budgets:
        if budget.metric == x.name:
            lines.append(BudgetLine("x", budget.limit / x.scale, budget.text))
        elif budget.metric == y.name:
            lines.append(BudgetLine("y", budget.limit / y.scale, budget.text))
    return lines


def _errors(
    frame: pd.DataFrame, groups: PointGroups, latency: Metric
) -> dict[str, tuple[list[float], list[float]]]:
    found = {}
    for name, points in (("front", groups.front), ("stock", groups.stock)):
        rows, on = frame.loc[points.rows], latency.column.removeprefix("latency_ms")
        below = rows[latency.column] - rows[f"latency_low_ms{on}"]
        above = rows[f"latency_high_ms{on}"] - rows[latency.column]
        found[name] = ([round(v, 4) for v in below], [round(v, 4) for v in above])
    return found


def _staircase(
    record: StudyRecord, frame: pd.DataFrame, x: Metric, y: Metric
) -> tuple[list[float], list[float]]:
    if set(record.settings.objectives) != {x.name, y.name}:
        return [], []
    members = frame[frame["front"]]
    corners = sorted(zip(to_axis_units(members, x), to_axis_units(members, y), strict=True))
    return [corner[0] for corner in corners], [corner[1] for corner in corners]


def _design(record: StudyRecord, groups: PointGroups) -> tuple[list[float], list[float]]:
    found = [one for one in record.trials if not one.baseline]
    if all(one.origin == "random" for one in found):
        return [], []
    places = [
        place
        for points in (groups.front, groups.dominated, groups.infeasible)
        for row, *place in zip(points.rows, points.x, points.y, strict=True)
        if record.trials[row].origin == "random"
    ]
    return [x for x, _ in places], [y for _, y in places]


def _place(
    frame: pd.DataFrame, x: Metric, y: Metric, trial: int | None
) -> tuple[float, float] | None:
    row = frame[frame["trial"] == trial]
    if trial is None or row.empty:
        return None
    place = float(to_axis_units(row, x).iloc[0]), float(to_axis_units(row, y).iloc[0])
    return place if all(map(math.isfinite, place)) else None


def front_figure(info: FrontInfo) -> go.Figure:
    """The interactive scatter."""
    groups = info.groups
    figure = theme.empty_figure(*axis_titles(info.x, info.y), height=520)
    figure.add_trace(traces.infeasible(groups.infeasible))
    figure.add_trace(traces.dominated(groups.dominated))
    if info.staircase[0]:
        figure.add_trace(traces.staircase(*info.staircase))
    figure.add_trace(
        traces.front(groups.front, info.unstable, info.errors.get("front"), info.colors, info.color)
    )
    labels = place_labels(groups, info.x_range, info.y_range)
    figure.add_trace(traces.stock(groups.stock, labels, info.errors.get("stock")))
    if info.files.names:
        figure.add_trace(traces.files(info.files))
    if info.design[0]:
        figure.add_trace(traces.design(*info.design))
    if info.recommended is not None:
        figure.add_trace(traces.recommended(*info.recommended))
    for line in info.budgets:
        text = f"budget {html.escape(line.text)}"
        if line.axis == "x":
            figure.add_vline(line.value, **theme.line_label(text, theme.BUDGET, "bottom left"))
        else:
            figure.add_hline(line.value, **theme.line_label(text, theme.BUDGET, "top left"))
    figure.update_xaxes(range=info.x_range)
    figure.update_yaxes(range=info.y_range)
    return figure

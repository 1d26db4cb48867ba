"""The simplest baseline: does the score measure more than the size of a network?"""

from __future__ import annotations

import math

import msgspec
import pandas as pd
import plotly.graph_objects as go

from gnv2_nas.report.figures import theme
from gnv2_nas.report.figures import theme as traces
from gnv2_nas.report.figures.points import (
    PointGroups,
    axis_titles,
    find_axis_ranges,
    group_points,
    place_labels,
)
from gnv2_nas.search.analysis.pareto import pareto_front
from gnv2_nas.search.study.metrics import Metric, get_metric
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.stats.rank_agreement import kendall_tau

_MOSTLY_SIZE = 0.8
_PARTLY_SIZE = 0.5


class SizeInfo(msgspec.Struct, frozen=True):
    """Relation of the score to the size of a network."""

    x: Metric
    y: Metric
    groups: PointGroups
    scored: int
    tau_params: float
    """Kendall's τ between score and parameter count over all scored trials."""
    tau_macs: float
    shared: tuple[int, int, int] | None
    """(members of both fronts, members by score, members by parameter count); None when quality
    is not an objective, or parameters are one."""


def size_info(record: StudyRecord, frame: pd.DataFrame) -> SizeInfo:
    x, y = get_metric("params", record.quality_info), get_metric("quality", record.quality_info)
    scored = frame[frame["quality"].notna()]
    score = scored["quality"].tolist()
    return SizeInfo(
        x=x,
        y=y,
        groups=group_points(record, frame, x, y),
        scored=len(scored),
        tau_params=kendall_tau(score, scored["params"].tolist()),
        tau_macs=kendall_tau(score, scored["macs"].tolist()),
        shared=_shared(record),
    )


def _shared(record: StudyRecord) -> tuple[int, int, int] | None:
    objectives = record.settings.objectives
    if "quality" not in objectives or "params" in objectives:
        return None
    by_score = {one.number for one in pareto_front(record.trials, objectives)}
    sized = [_with_size_as_quality(one) for one in record.trials if one.quality is not None]
    by_size = {one.number for one in pareto_front(sized, objectives)}
    return len(by_score & by_size), len(by_score), len(by_size)


def _with_size_as_quality(trial: Trial) -> Trial:
    return msgspec.structs.replace(trial, quality=float(trial.counts.params))


def describe_size(info: SizeInfo) -> list[str]:
    """The figure in words."""
    if math.isnan(info.tau_params):
        return [f"Fewer than two different scores: {info.y.in_text} cannot be compared with size."]
    lines = [
        f"Kendall’s τ between {info.y.in_text} and parameter count, {info.scored:,} networks: "
        f"{info.tau_params:.2f} (with FLOPs: {info.tau_macs:.2f}). "
        f"{_of_accuracy(info.tau_params) if info.y.is_accuracy else _meaning(info.tau_params)}"
    ]
    if info.shared is not None:
        common, by_score, by_size = info.shared
        lines.append(
            f"With the parameter count as the score, the front would have {by_size:,} members; "
            f"{common:,} of them are among the {by_score:,} on this front."
        )
    return lines


def _meaning(tau: float) -> str:
    if tau >= _MOSTLY_SIZE:
        return "The score mostly tracks size and adds little to the parameter count."
    if tau >= _PARTLY_SIZE:
        return "The score partly tracks size."
    if tau > -_PARTLY_SIZE:
        return "The score does not merely track size. This does not show that it tracks accuracy."
    return "The score prefers smaller networks."


def _of_accuracy(tau: float) -> str:
    if tau >= _MOSTLY_SIZE:
        return "Larger networks are mostly more accurate here."
    if tau >= _PARTLY_SIZE:
        return "Size partly explains accuracy."
    if tau > -_PARTLY_SIZE:
        return "Accuracy does not merely follow size."
    return "Smaller networks are more accurate here."


def size_figure(info: SizeInfo) -> go.Figure:
    """Score against parameter count, in the groups of the front's figure."""
    groups = info.groups
    figure = theme.empty_figure(*axis_titles(info.x, info.y), height=400)
    figure.add_trace(traces.infeasible(groups.infeasible))
    figure.add_trace(traces.dominated(groups.dominated))
    figure.add_trace(traces.front(groups.front))
    x_range, y_range = find_axis_ranges(groups)
    labels = place_labels(groups, x_range, y_range)
    figure.add_trace(traces.stock(groups.stock, labels))
    figure.update_xaxes(range=x_range)
    figure.update_yaxes(range=y_range)
    return figure

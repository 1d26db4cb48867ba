"""The figures' data: axes, groups, thinning, budgets, hover texts."""

from __future__ import annotations

import html

import pytest

from gnv2_nas.report.figures.front_figure import FrontInfo, choose_axes, front_figure, front_info
from gnv2_nas.report.figures.points import DOMINATED_DRAWN, INFEASIBLE_DRAWN, place_labels
from gnv2_nas.report.figures.size_figure import describe_size, size_figure, size_info
from gnv2_nas.report.frames import trials_frame
from gnv2_nas.search.analysis.pareto import study_front
from gnv2_nas.search.study.records import StudyRecord
from tests.report.studies import candidate, found_architecture, stock, study, typical


def info_of(record: StudyRecord) -> FrontInfo:
    return front_info(record, trials_frame(record), None)


@pytest.mark.parametrize(
    ("objectives", "axes"),
    [
        (("quality", "latency"), ("latency", "quality", "macs")),
        (("quality", "macs"), ("macs", "quality", "params")),
        (("latency", "macs"), ("latency", "macs", "params")),
        (("latency",), ("latency", "quality", "macs")),
        (("quality",), ("latency", "quality", "macs")),
        (("quality", "latency", "memory"), ("latency", "quality", "memory")),
    ],
)
def test_axes_follow_the_objectives(objectives: tuple[str, ...], axes: tuple[str, ...]) -> None:
    record = typical(5, objectives=objectives)
    assert tuple(one.name for one in choose_axes(record)) == axes


def test_every_candidate_is_in_one_group() -> None:
    record = typical(60)
    groups = info_of(record).groups
    stock_count = sum(bool(one.baseline) for one in record.trials)
    found_on_front = [one.number for one in study_front(record) if not one.baseline]
    assert groups.drawn == len(record.trials)
    assert groups.stock.total == stock_count
    assert sorted(groups.front.trials) == sorted(found_on_front)


def test_many_points_are_thinned_evenly_and_counted() -> None:
    groups = info_of(typical(5000)).groups
    assert len(groups.dominated.rows) == DOMINATED_DRAWN
    assert len(groups.infeasible.rows) == INFEASIBLE_DRAWN
    assert groups.dominated.shown == f"{DOMINATED_DRAWN:,} of {groups.dominated.total:,} drawn"
    assert groups.dominated.x == sorted(groups.dominated.x)


def test_error_bars_span_the_interval() -> None:
    record = study([stock(), candidate(1, found_architecture(1), quality=99, ratio=0.5)])
    info = info_of(record)
    below, above = info.errors["front"]
    latency = record.trials[1].latency
    assert latency is not None
    assert info.groups.front.x[0] - below[0] == pytest.approx(latency.ci95[0], abs=1e-3)
    assert info.groups.front.x[0] + above[0] == pytest.approx(latency.ci95[1], abs=1e-3)


def test_a_budget_is_a_line_where_it_is_an_axis() -> None:
    info = info_of(typical(40, budgets=("12ms", "300MFLOPs", "900ms")))
    assert [(line.axis, line.value) for line in info.budgets] == [("x", 12.0)]
    assert info.budgets_outside == ["900ms"]
    assert info.x_range[1] > 12
    figure = front_figure(info)
    assert figure.layout.annotations[0].text == "budget 12ms"


def test_hover_describes_the_architecture() -> None:
    groups = info_of(typical(3)).groups
    text = groups.stock.hover[groups.stock.names.index("ghostnetv2-1.0")]
    assert "id 10fc6ea8efdf · ghostnetv2 · 224 px" in text
    assert "widths  16 24×2 40×2 80×4 112×2 160×5" in text
    assert "DFC 5×5 ÷2 avg, nearest: first module of blocks 2–15" in text
    assert "167.0 MFLOPs, 6.16 Mparams" in text


def test_hover_escapes_what_was_typed() -> None:
    typed = "<b>1e1</b>ms"
    one = candidate(0, found_architecture(0), reason="<img src=x>")
    record = study([one])
    text = info_of(record).groups.front.hover[0]
    assert "<img" not in text
    assert html.escape("<img src=x>") in text
    assert typed not in text


def test_unstable_members_are_open_circles() -> None:
    record = study([candidate(0, found_architecture(0), reason="noisy")])
    info = info_of(record)
    assert info.unstable == [True]
    symbols = [trace.marker.symbol for trace in front_figure(info).data if trace.customdata]
    assert ("circle-open",) in symbols


def test_the_staircase_joins_the_front_of_two_objectives_only() -> None:
    assert info_of(typical(40)).staircase[0]
    assert not info_of(typical(40, objectives=("quality", "latency", "macs"))).staircase[0]
    assert not info_of(typical(40, objectives=("latency",))).staircase[0]


@pytest.mark.parametrize("record", [study([]), typical(30, budgets=("1MFLOPs",))])
def test_figures_without_a_front(record: StudyRecord) -> None:
    info = info_of(record)
    assert info.groups.front.total == 0
    assert info.x_range[0] < info.x_range[1]
    front_figure(info)
    size_figure(size_info(record, trials_frame(record)))


def test_names_of_stock_networks_avoid_each_other() -> None:
    info = info_of(typical(60))
    positions = place_labels(info.groups, info.x_range, info.y_range)
    assert len(positions) == info.groups.stock.total
    rightmost = info.groups.stock.x.index(max(info.groups.stock.x))
    assert "left" in positions[rightmost]


def test_of_scaled_stock_networks_only_the_compared_one_is_named() -> None:
    labels = {91.0: "ghostnet-1.0 ×0.9 at 192 px", 93.0: "ghostnetv2-1.0 ×0.75 at 192 px"}
    scaled = [
        candidate(number, found_architecture(number), quality=quality, baseline=label)
        for number, (quality, label) in enumerate(labels.items(), start=1)
    ]
    info = info_of(study([stock(92), *scaled]))
    assert sorted(info.groups.stock.names) == ["", "ghostnetv2-1.0", labels[93.0]]


def test_a_score_that_is_size_is_found_out() -> None:
    record = typical(40)
    sized = [
        candidate(one.number, one.architecture, quality=one.counts.params / 1e6, ratio=1.0)
        for one in record.trials
    ]
    record = study(sized)
    info = size_info(record, trials_frame(record))
    assert info.tau_params == pytest.approx(1)
    assert info.shared is not None
    assert info.shared[0] == info.shared[1] == info.shared[2]
    assert "mostly tracks size" in describe_size(info)[0]


def test_no_shared_front_where_quality_is_no_objective() -> None:
    record = typical(10, objectives=("latency", "macs"))
    assert size_info(record, trials_frame(record)).shared is None


def test_without_scores_nothing_is_claimed() -> None:
    record = study([candidate(0, found_architecture(0), quality=None)], objectives=("latency",))
    info = size_info(record, trials_frame(record))
    assert info.scored == 0
    assert describe_size(info)[0].startswith("Fewer than two different scores")

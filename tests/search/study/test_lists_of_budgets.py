"""A list of budgets is one study with a view for each limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gnv2_nas.errors import BudgetError, StudyError
from gnv2_nas.graph import count
from gnv2_nas.search.analysis.pareto import joint_front, pareto_front, study_front
from gnv2_nas.search.analysis.recommendation import recommend_among
from gnv2_nas.search.storage.format import Beginning
from gnv2_nas.search.storage.studies import check_same_settings
from gnv2_nas.search.study.budgets import parse_budget, parse_budgets, parse_limits
from gnv2_nas.search.study.settings import default_study_name
from tests.report.studies import typical
from tests.search.analysis.test_pareto import candidate
from tests.search.simulated import simulated
from tests.search.spaces import genotypes
from tests.search.study_helpers import PROVENANCE, SETTINGS


def asked(*texts):
    return replace(SETTINGS, budgets=parse_budgets(texts), limits=parse_limits(texts))


def test_the_loosest_limit_is_what_every_network_keeps():
    settings = asked("0.3GFLOPs,100MFLOPs,200MFLOPs", "5ms")
    assert [each.text for each in settings.budgets] == ["0.3GFLOPs", "5ms"]
    views = [[budget.text for budget in view.budgets] for view in settings.views]
    assert views == [["100MFLOPs", "5ms"], ["200MFLOPs", "5ms"], ["0.3GFLOPs", "5ms"]]
    assert all(view.limits == () for view in settings.views)


def test_without_a_list_the_study_is_its_only_view():
    assert asked("300MFLOPs", "5ms").views == (asked("300MFLOPs", "5ms"),)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("100MFLOPs,5ms",), "limits macs and latency; a list has limits of one metric"),
        (("20MB,30MB:artifact",), "limits memory and artifact; a list has limits of one"),
        (("100MFLOPs,0.1GFLOPs",), "has '100MFLOPs' twice"),
        (("100,200MFLOPs",), "budget '100' has no unit"),
        (("100MFLOPs,",), "cannot read budget ''"),
        (("1ms,2ms,3ms,4ms,5ms,6ms,7ms,8ms,9ms",), "has 9 limits; at most 8"),
        (("1ms,2ms", "3ms"), "'1ms,2ms' and '3ms' limit .* or a list .*: 1ms,2ms,3ms$"),
    ],
)
def test_a_list_that_cannot_be_searched_is_refused(texts, message):
    with pytest.raises(BudgetError, match=message):
        asked(*texts)


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (("300MFLOPs,100MFLOPs,0.2GFLOPs",), "mobile-100-200-300MFLOPs-cpu"),
        (("900MFLOPs,1.2GFLOPs",), "mobile-900MFLOPs-1.2GFLOPs-cpu"),
        (("8ms,12ms", "300MFLOPs"), "mobile-300MFLOPs-8-12ms-cpu"),
        (("20MB:artifact,30MB:artifact",), "mobile-20-30MB-artifact-cpu"),
    ],
)
def test_the_name_of_a_study_has_every_limit(texts, name):
    assert default_study_name(asked(*texts)) == name


def test_other_limits_are_another_study():
    one, same = asked("100MFLOPs,300MFLOPs"), asked("0.3GFLOPs,0.1GFLOPs")
    check_same_settings("demo", Beginning(one, PROVENANCE), Beginning(same, PROVENANCE))
    with pytest.raises(StudyError, match="limits 100MFLOPs,300MFLOPs, not none"):
        check_same_settings(
            "demo", Beginning(one, PROVENANCE), Beginning(asked("300MFLOPs"), PROVENANCE)
        )


def test_a_view_is_the_study_as_if_its_limit_had_been_the_only_one():
    record = typical(60, budgets=("300MFLOPs", "12ms"))
    view = record.within(parse_budget("150MFLOPs"))
    alone = typical(60, budgets=("150MFLOPs", "12ms"))
    assert view.trials == alone.trials
    assert view.settings == alone.settings
    assert study_front(view) == study_front(alone) != study_front(record)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=25))
def test_the_joint_front_has_the_front_of_every_view_and_nothing_else(values):
    settings = replace(asked("4FLOPs,7FLOPs,9FLOPs"), objectives=("quality", "params"))
    trials = [
        replace(each, counts=replace(each.counts, params=10 - quality), budgets=settings.budgets)
        for number, (quality, macs) in enumerate(values)
        for each in [candidate(number, quality, macs)]
    ]
    expected = {
        member.number
        for limit in (4, 7, 9)
        for member in pareto_front(
            [each for each in trials if each.counts.macs <= limit], settings.objectives
        )
    }
    front = joint_front(trials, settings)
    assert {each.number for each in front} == expected
    step_by_step = []
    for trial in trials:
        step_by_step = joint_front([*step_by_step, trial], settings)
    assert {each.number for each in step_by_step} == expected


def test_the_front_of_every_view_is_confirmed_and_no_network_is_evaluated_twice(small):
    sizes = sorted(count(small.decode(params)).macs for params in genotypes(small))
    limits = [sizes[len(sizes) * part // 4] for part in (1, 2, 3)]
    ended = simulated(small, 0, budgets=(",".join(f"{each}FLOPs" for each in limits),))
    trials = list(ended.loop.trials.values())
    assert len({each.architecture.id for each in trials}) == len(trials)
    picks = []
    for view in ended.memory.settings.views:
        found = recommend_among([each.seen(view) for each in trials], view, noise=0.0)
        assert {each.number for each in found.front} <= ended.memory.confirmed("cpu")
        picks.append(found.recommended)
    assert len({pick.latency.batch for pick in picks}) == 1
    assert len({pick.number for pick in picks}) > 1

"""Which networks are measured twice: those whose place one measurement leaves open."""

from __future__ import annotations

import random
import time

import msgspec
import pytest

from gnv2_nas.search.analysis.pareto import pareto_front
from gnv2_nas.search.sampler.remeasurement import MAX_SESSIONS, select_for_remeasurement
from gnv2_nas.search.study.budgets import parse_budgets
from gnv2_nas.search.study.records import Trial
from tests.search.study_helpers import COUNTS, SETTINGS, STOCK, latency

OBJECTIVES = ("quality", "latency")
BUDGETS = SETTINGS.budgets
MEASURED = latency(0)


def network(number, quality, ms, share=0.05, sessions=1, measured=True, budgets=BUDGETS):
    """A candidate whose interval is `share` of its milliseconds to either side."""
    found = None
    if measured:
        found = msgspec.structs.replace(
            MEASURED, ms=ms, ci95=(ms * (1 - share), ms * (1 + share)), sessions=sessions
        )
    return Trial(
        number=number, architecture=STOCK, params={}, baseline="", counts=COUNTS, quality=quality,
        latencies={} if found is None else {"cpu": found}, budgets=tuple(budgets),
    )  # fmt: skip


def looks(candidates, budgets=BUDGETS, objectives=OBJECTIVES, limit=99):
    front = pareto_front(candidates, objectives)
    settings = msgspec.structs.replace(SETTINGS, objectives=objectives, budgets=budgets)
    return [each.number for each in select_for_remeasurement(candidates, front, settings, limit)]


def test_nothing_to_measure_again_where_nothing_was_measured():
    assert looks([]) == []
    assert looks([network(0, 1.0, 1.0, measured=False)], objectives=("quality", "macs")) == []


@pytest.mark.parametrize(("ms", "open_"), [(1.85, False), (1.95, True), (2.05, True), (2.2, False)])
def test_near_a_latency_budget(ms, open_):
    """Dominated by far, so that only the budget can be in doubt: on either side of it."""
    best = network(0, 9.0, 0.5)
    assert looks([best, network(1, 1.0, ms)]) == ([1] if open_ else [])


def test_near_another_budget_is_not_near_a_latency_budget():
    budgets = parse_budgets(["300MFLOPs"])
    best = network(0, 9.0, 0.5, budgets=budgets)
    assert looks([best, network(1, 1.0, 2.0, budgets=budgets)], budgets) == []


@pytest.mark.parametrize(("ms", "open_"), [(0.9, False), (0.98, True), (1.03, True), (1.2, False)])
def test_near_the_front(ms, open_):
    """A rival of slightly better quality needs 1 ms: is the network faster beyond doubt?"""
    rival = network(0, 5.1, 1.0, share=0.0)
    assert looks([rival, network(1, 5.0, ms)]) == ([1] if open_ else [])


def test_members_of_the_front_do_not_make_themselves_doubtful():
    assert looks([network(0, 5.0, 1.0), network(1, 6.0, 1.5)]) == []


def test_what_breaks_a_budget_beyond_doubt_is_not_looked_at():
    assert looks([network(0, 5.1, 2.5, share=0.0), network(1, 5.0, 2.5)]) == []


def test_what_was_loaded_often_enough_is_settled():
    best = network(0, 9.0, 0.5)
    unsettled = network(1, 1.0, 2.0, sessions=MAX_SESSIONS - 1)
    settled = network(2, 1.0, 2.0, sessions=MAX_SESSIONS)
    assert looks([best, unsettled, settled]) == [1]


def test_the_widest_intervals_first_and_no_more_than_asked_for():
    candidates = [network(0, 9.0, 0.5)]
    shares = {1: 0.02, 2: 0.08, 3: 0.05}
    candidates += [network(number, 1.0, 2.0, share) for number, share in shares.items()]
    assert looks(candidates) == [2, 3, 1]
    assert looks(candidates, limit=2) == [2, 3]


def test_without_a_feasible_network_budgets_still_decide():
    assert looks([network(0, 5.0, 2.05), network(1, 5.0, 3.0)]) == [0]


def test_latency_that_is_no_objective_is_looked_at_for_its_budget_only():
    near, far = network(0, 5.0, 1.98), network(1, 5.1, 1.0)
    assert looks([near, far], objectives=("quality", "macs")) == [0]


def test_ten_thousand_candidates_are_quick():
    rng = random.Random(0)
    candidates = [network(number, rng.random(), rng.uniform(0.5, 3.0)) for number in range(10_000)]
    front = pareto_front(candidates, OBJECTIVES)
    start = time.process_time()
    found = select_for_remeasurement(candidates, front, SETTINGS)
    assert time.process_time() - start < 0.5
    assert len(found) == 2

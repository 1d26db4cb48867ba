"""The front against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gnv2_nas.arch import preset
from gnv2_nas.errors import InputError
from gnv2_nas.graph import Counts, count
from gnv2_nas.search.analysis.pareto import (
    find_nearest_to_budgets,
    is_non_dominated,
    pareto_front,
)
from gnv2_nas.search.study.budgets import Budget
from gnv2_nas.search.study.metric_names import parse_objectives
from gnv2_nas.search.study.metrics import METRICS
from gnv2_nas.search.study.records import Trial

STOCK = preset("ghostnetv2-1.0")
COUNTS = count(STOCK)
LOSSES = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 6) | st.just(math.inf), min_size=width, max_size=width), max_size=40
    )
)


def dominates(one, other):
    return all(a <= b for a, b in zip(one, other, strict=True)) and one != other


@given(LOSSES)
def test_a_row_stays_exactly_when_no_other_dominates_it(rows):
    losses = np.array(rows, dtype=float).reshape(len(rows), len(rows[0]) if rows else 2)
    expected = [not any(dominates(other, row) for other in rows) for row in rows]
    assert is_non_dominated(losses).tolist() == expected


BROKEN = (Budget("params", 1, "1params"),)


def candidate(number, quality, macs, broken=False):
    return Trial(
        number=number, architecture=STOCK, params={}, baseline="", quality=quality,
        counts=replace(COUNTS, macs=macs), budgets=BROKEN if broken else (),
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=25))
def test_the_front_is_what_is_feasible_and_not_dominated(values):
    candidates = [candidate(number, *value) for number, value in enumerate(values)]
    front = pareto_front(candidates, ("quality", "macs"))
    feasible = [(-quality, macs) for quality, macs, broken in values if not broken]
    expected = sorted(
        (-quality, macs, number)
        for number, (quality, macs, broken) in enumerate(values)
        if not broken and not any(dominates(other, (-quality, macs)) for other in feasible)
    )
    assert sorted((-c.quality, c.counts.macs, c.number) for c in front) == expected
    assert [c.quality for c in front] == sorted((c.quality for c in front), reverse=True)


def test_a_candidate_without_a_value_is_on_no_front():
    known, unknown = candidate(0, 1.0, 10), candidate(1, None, 1)
    assert pareto_front([unknown, known], ("quality", "macs")) == [known]
    assert pareto_front([unknown, known], ("macs",)) == [unknown]
    assert pareto_front([], ("quality",)) == []


def test_the_front_begins_with_the_best_in_the_first_objective():
    one, two = candidate(0, 2.0, 20), candidate(1, 1.0, 10)
    equal = candidate(2, 2.0, 20)
    assert pareto_front([two, one, equal], ("quality", "macs")) == [one, equal, two]
    assert pareto_front([one, two, equal], ("macs", "quality")) == [two, one, equal]


def test_the_nearest_to_the_budgets_breaks_its_worst_one_by_the_least():
    def limited(number, macs, params):
        budgets = (Budget("macs", macs, ""), Budget("params", params, ""))
        return replace(candidate(number, 1.0, 100), budgets=budgets)

    params = COUNTS.params
    much, little = limited(0, 50, params), limited(1, 80, params / 1.2)
    assert find_nearest_to_budgets([much, little]) == little
    # Of two that keep all, the first: how far they keep them does not count.
    kept, kept_by_far = limited(2, 100, params), limited(3, 500, 5 * params)
    assert find_nearest_to_budgets([much, kept, kept_by_far]) == kept


def test_each_objective_reads_its_own_value():
    one = replace(candidate(0, 0.5, 0), counts=Counts(1, 2, 3, 4))
    one = replace(one, measured={"artifact": 9.0})
    values = {name: one.value(name) for name in METRICS}
    assert math.isnan(values.pop("latency"))
    assert math.isnan(values.pop("latency-ratio"))
    assert math.isnan(values.pop("peak-memory"))
    assert values == {"quality": 0.5, "macs": 1, "params": 2, "memory": 7, "artifact": 9}
    assert [name for name, each in METRICS.items() if each.direction == "maximize"] == ["quality"]


def test_objectives_are_read_in_one_order():
    assert parse_objectives("macs, quality") == parse_objectives("quality,macs")
    assert parse_objectives("latency") == ("latency",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "",
            "--objectives is empty; give one or more of quality,latency,latency-ratio,",
        ),
        (" , ", "--objectives is empty"),
        ("quality,speed", "unknown objective 'speed'; .*known: artifact, latency, latency-ratio"),
        ("Quality", "did you mean 'quality'"),
        ("macs,macs", "names an objective twice"),
    ],
)
def test_wrong_objectives_are_refused(text, problem):
    with pytest.raises(InputError, match=problem):
        parse_objectives(text)

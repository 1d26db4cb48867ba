"""Budgets against every network of small spaces."""

from __future__ import annotations

import random

import pytest

from gnv2_nas.errors import BudgetError, InfeasibleBudgetError
from gnv2_nas.graph import Counts, count
from gnv2_nas.search.study.budgets import (
    corner_networks,
    excesses,
    find_feasible,
    keeps_budgets,
    parse_budget,
    parse_budgets,
    violations,
)
from gnv2_nas.search.study.metrics import Counted
from gnv2_nas.units import parse_quantity
from tests.search.spaces import CROOKED, genotypes, space_of

COUNTS = Counts(macs=300, params=50, weight_bytes=200, peak_activation_bytes=100)


def test_a_budget_keeps_what_the_user_wrote_but_for_spaces():
    budget = parse_budget(" 0.3 GFLOPs ")
    assert (budget.metric, budget.limit, budget.text) == ("macs", 3e8, "0.3GFLOPs")


def test_the_order_of_budgets_does_not_matter():
    texts = ["5ms", "300MFLOPs", "20MB", "6Mparams"]
    assert parse_budgets(texts) == parse_budgets(reversed(texts))


def test_budgets_are_in_the_order_of_units_and_metrics():
    budgets = parse_budgets(["20MB:artifact", "5ms", "20MB", "6Mparams", "300MFLOPs"])
    names = [budget.metric for budget in budgets]
    assert names == ["macs", "params", "latency", "memory", "artifact"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("0.3 GFLOPs", "300MFLOPs"), ("300MFLOPs", "300MFLOPs"), ("20MB", "20MB"),
        ("20MB:memory", "20MB"), ("20MB:artifact", "20MB-artifact"), ("5ms", "5ms"),
    ],
)  # fmt: skip
def test_the_label_of_one_limit_is_one_text(text, label):
    assert parse_budget(text).label == label


def test_two_limits_for_one_thing_are_refused():
    with pytest.raises(BudgetError, match=r"'300MFLOPs' and '0.2GMACs' limit the same thing"):
        parse_budgets(["300MFLOPs", "5ms", "0.2GMACs"])
    assert len(parse_budgets(["300MFLOPs", "5ms", "6Mparams", "20MB"])) == 4
    assert parse_budgets([]) == ()


def test_what_a_network_uses_of_each_budget():
    budgets = parse_budgets(["300FLOPs", "100params", "150B", "5ms"])
    excess = excesses(budgets, Counted(COUNTS))
    assert excess == {"macs": 0, "params": -0.5, "memory": 1.0}
    assert violations(excess) == {"memory": 1.0}
    assert violations({"macs": 0.0, "params": 1e-12, "memory": -1e-12}) == {"params": 1e-12}
    assert [keeps_budgets([budget], COUNTS) for budget in budgets] == [True, True, True, False]


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("20MB", "memory"), ("20MB:memory", "memory"), ("20 MB : artifact", "artifact"),
        ("20MB:peak-memory", "peak-memory"), ("5ms:latency", "latency"),
        ("6Mparams:params", "params"),
    ],
)  # fmt: skip
def test_a_suffix_names_the_metric_where_several_have_the_unit(text, metric):
    budget = parse_budget(text)
    assert (budget.metric, budget.text) == (metric, text.replace(" ", ""))


@pytest.mark.parametrize("text", ["20MB:", "20MB:files", "20MB:latency", "5ms:artifact"])
def test_a_suffix_that_does_not_fit_the_unit_is_refused(text):
    with pytest.raises(
        BudgetError, match=r"no metric '.*' of this unit; write (20MB:memory or 20MB:art|5ms:lat)"
    ):
        parse_budget(text)


def test_the_corners_are_those_of_the_space(small):
    corners = corner_networks(small)
    assert list(corners) == ["smallest", "centre", "largest"]
    sizes = [count(arch).macs for arch in corners.values()]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3


@pytest.mark.parametrize("name", CROOKED)
def test_a_budget_is_refused_exactly_when_no_network_keeps_it(tmp_path, name):
    space = space_of(tmp_path, CROOKED[name], name)
    known = [count(space.decode(params)) for params in genotypes(space)]
    rng = random.Random(name)
    answers = set()
    for _ in range(60):
        metrics = rng.sample(["macs", "params", "memory_bytes"], rng.randint(1, 3))
        units = {"macs": "FLOPs", "params": "params", "memory_bytes": "B"}
        tight = rng.choice(metrics)
        model = rng.choice([rng.choice(known), min(known, key=lambda c: getattr(c, tight))])
        slack = rng.choice([0, 0, -1, 1000])
        budgets = parse_budgets(
            f"{getattr(model, metric) + (slack if metric == tight else 0)}{units[metric]}"
            for metric in metrics
        )
        possible = any(keeps_budgets(budgets, counts) for counts in known)
        try:
            params = find_feasible(space, budgets)
        except InfeasibleBudgetError:
            answers.add(False)
            assert not possible
        else:
            answers.add(True)
            assert keeps_budgets(budgets, count(space.decode(params)))
    assert answers == {True, False}


def test_without_budgets_the_smallest_network_is_feasible(small):
    assert find_feasible(small, ()) == small.smallest()
    assert find_feasible(small, parse_budgets(["1us"])) == small.smallest()


def test_an_impossible_budget_is_answered_with_the_nearest(small):
    smallest = count(small.decode(small.smallest()))
    budgets = parse_budgets(["1kFLOPs", "1GB", "1kparams"])
    with pytest.raises(InfeasibleBudgetError) as caught:
        find_feasible(small, budgets)
    message = str(caught.value)
    assert message.startswith("no network of space 'small' can meet 1kFLOPs and 1kparams; ")
    nearest = message.split("nearest is ")[1].split(":")[0].split(", ")
    assert [parse_quantity(text) for text in nearest] == [
        ("macs", pytest.approx(smallest.macs, rel=0.01)),
        ("params", pytest.approx(smallest.params, rel=0.01)),
    ]
    assert "GB" not in message
    assert "raise the budget or choose a smaller space" in message


def test_the_nearest_that_is_named_is_enough(tmp_path):
    """Asking for what the message names must not end in the same message."""
    for name, text in CROOKED.items():
        space = space_of(tmp_path, text, name)
        for unit in ("FLOPs", "params", "B"):
            with pytest.raises(InfeasibleBudgetError) as caught:
                find_feasible(space, parse_budgets([f"1{unit}"]))
            nearest = str(caught.value).split("nearest is ")[1].split(":")[0]
            find_feasible(space, parse_budgets([nearest]))

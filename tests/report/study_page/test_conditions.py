"""Cautions, and whether the front was confirmed."""

from __future__ import annotations

from msgspec.structs import replace

from gnv2_nas.report.study_page.conditions import describe_confirmation, list_cautions
from gnv2_nas.search.analysis.pareto import study_front
from tests.report.studies import network, study, typical

MEMBERS = study_front(typical(40))


def test_a_front_that_was_measured_again_is_confirmed() -> None:
    said = describe_confirmation(MEMBERS, {one.number for one in MEMBERS})
    assert said.startswith(f"The front is confirmed: the latency of each of its {len(MEMBERS)} ")


def test_a_part_is_called_one() -> None:
    said = describe_confirmation(MEMBERS, {MEMBERS[0].number, 10_000})
    assert said.startswith(f"1 of the {len(MEMBERS)} networks on the front")


def test_those_that_were_not_are_named() -> None:
    most = {one.number for one in MEMBERS[2:]}
    first, second = (one.number for one in MEMBERS[:2])
    said = describe_confirmation(MEMBERS, most)
    assert f"Trials {first} and {second} were measured only during the search" in said
    assert f"Trial {first} was measured only" in describe_confirmation(MEMBERS, most | {second})


def test_nothing_is_said_where_nothing_was_measured_again() -> None:
    assert describe_confirmation(MEMBERS) == ""
    assert describe_confirmation([], {1}) == ""


def test_an_interval_that_reaches_beyond_a_latency_budget_is_a_caution() -> None:
    near, far = network(1, 94, 0.82), network(2, 90, 0.5)
    latency = near.latency
    assert latency is not None
    budget = f"{(latency.ms + latency.ci95[1]) / 2:.4f}ms"
    (line,) = list_cautions(study([near, far], budgets=(budget,)), 0, [near, far])
    assert line.startswith(f"1 of 2 networks on the front keep {budget} by their estimate")


def test_unstable_latencies_and_mixed_conditions_are_cautions() -> None:
    first, second = (network(n, 90 + n, 0.8 + n / 10, reason="noisy") for n in range(2))
    assert second.latency is not None
    second = replace(second, latency=replace(second.latency, threads=4, clock="wall"))
    unstable, mixed = list_cautions(study([first, second]), 2, [first, second])
    assert unstable.startswith("2 of 2 latencies on the front are not stable")
    assert "not all measured under the same conditions" in mixed

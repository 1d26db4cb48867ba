"""Cautions, and whether the front was confirmed."""

from __future__ import annotations

from msgspec.structs import replace

from gnv2_nas.devices.conditions import Cluster, Conditions
from gnv2_nas.measurement.conditions import MeasuredConditions
from gnv2_nas.report.study_page.conditions import (
    describe_confirmation,
    list_cautions,
    list_conditions,
)
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
    second = second.with_latency(replace(second.latency, threads=4, clock="wall"))
    unstable, mixed = list_cautions(study([first, second]), 2, [first, second])
    assert unstable.startswith("2 of 2 latencies on the front are not stable")
    assert "not all measured under the same conditions" in mixed


def test_the_state_of_the_device_is_a_condition_and_its_change_a_caution() -> None:
    cool = Conditions(clusters=(Cluster("4-7", "walt", limit_mhz=2419),), temperatures={"cpu": 40})
    hot = replace(cool, temperatures={"cpu": 71})
    throttled = MeasuredConditions(cool, hot, 15.0, ("the charger was disconnected",))
    trials = [
        each.with_latency(
            replace(each.latency, batch=str(each.number), pace=30.0, conditions=state)
        )
        for each, state in zip(
            (network(n, 90 + n, 0.8) for n in range(3)),
            (throttled, MeasuredConditions(cool, cool), None),
            strict=True,
        )
    ]
    shown = dict(list_conditions(study(trials)))
    assert shown["Pace"].startswith("30 calls a second")
    assert shown["Cores"] == "cores 4-7 walt to 2419 MHz"
    assert shown["Temperature"] == "40 to 71 °C, after 15 s of waiting for it to cool down"
    assert shown["Changes while measuring"] == "in 1 of 2 latencies"
    (line,) = list_cautions(study(trials), 0, trials)
    assert line == (
        "The device changed while 1 of 3 latencies were measured: the charger was disconnected."
    )
    older = dict(list_conditions(study([network(0, 90, 0.8)])))
    assert older.keys().isdisjoint({"Pace", "Cores", "Temperature", "Changes while measuring"})


def test_latencies_from_records_are_counted() -> None:
    first, second = (network(n, 90 + n, 0.8) for n in range(2))
    assert first.latency is not None
    assert "From records" not in dict(list_conditions(study([first, second])))
    first = first.with_latency(replace(first.latency, reused=True))
    said = dict(list_conditions(study([first, second])))["From records"]
    assert said.startswith("1 of 2 latencies: measured before")

"""A study of several devices: names of its metrics and budgets, and its view of each device."""

from __future__ import annotations

import math

import msgspec
import pytest

from gnv2_nas.errors import InputError, UnknownNameError
from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.search.study.budgets import parse_budgets
from gnv2_nas.search.study.metric_names import parse_objectives
from gnv2_nas.search.study.metrics import get_metric
from gnv2_nas.search.study.records import Prediction
from gnv2_nas.search.study.settings import StudyDevice, default_study_name
from tests.search.study_helpers import SETTINGS, candidate, finished, latency, opened

BOTH = ("cpu", "Pi5")
URL = "sqlite:///studies.db"


def study_of(*budgets, objectives="quality,latency", devices=BOTH):
    return msgspec.structs.replace(
        SETTINGS,
        devices=tuple(map(StudyDevice, devices)),
        objectives=parse_objectives(objectives, devices),
        budgets=parse_budgets(budgets, devices),
    )


def on(device, ms):
    return msgspec.structs.replace(latency(0, ms), device=device)


@pytest.mark.parametrize(
    ("text", "devices", "names"),
    [
        ("quality,latency", ("cpu",), ("quality", "latency")),
        ("latency@CPU,quality", ("cpu",), ("quality", "latency")),
        ("quality,latency-ratio", ("cpu",), ("quality", "latency")),
        ("quality,latency", BOTH, ("quality", "latency-ratio")),
        ("latency@pi5,macs,latency@cpu", BOTH, ("latency@Pi5", "latency@cpu", "macs")),
        ("artifact@pi5,quality", BOTH, ("quality", "artifact@Pi5")),
    ],
)
def test_objectives_are_named_as_the_devices_need(text, devices, names):
    assert parse_objectives(text, devices) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("latency@gpu", "'latency@gpu': device 'gpu' is not in the search; it has cpu, Pi5"),
        ("artifact", "artifact: name the device, such as artifact@cpu"),
        ("latency@", "latency@: name the device, such as latency@cpu"),
        ("macs@cpu", "unknown metric 'macs@cpu'"),
        ("latency,latency-ratio", "names an objective twice"),
    ],
)
def test_objectives_that_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_objectives(text, BOTH)


@pytest.mark.parametrize(
    ("texts", "devices", "found"),
    [
        (["12ms@cpu", "9 MFLOPs"], ("cpu",), {"macs": "9MFLOPs", "latency": "12ms"}),
        (["12 ms"], BOTH, {"latency@cpu": "12ms@cpu", "latency@Pi5": "12ms@Pi5"}),
        (["20ms@pi5"], BOTH, {"latency@Pi5": "20ms@Pi5"}),
        (["2MB:artifact@cpu"], BOTH, {"artifact@cpu": "2MB:artifact@cpu"}),
    ],
)
def test_a_budget_without_a_device_holds_on_each(texts, devices, found):
    budgets = parse_budgets(texts, devices)
    assert {budget.metric: budget.text for budget in budgets} == found


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["12ms@gpu"], "'12ms@gpu': device 'gpu' is not in the search; it has cpu, Pi5"),
        (["12ms", "9ms@pi5"], "'12ms' and '9ms@pi5' limit the same thing; give one$"),
        (["12ms", "12 ms"], "'12ms' and '12 ms' limit the same thing; give one$"),
        (["9MFLOPs@cpu"], "a device belongs to a limit that differs between devices"),
        (["12ms@"], "a device belongs to a limit"),
    ],
)
def test_budgets_that_are_refused(texts, message):
    with pytest.raises(InputError, match=message):
        parse_budgets(texts, BOTH)


@pytest.mark.parametrize(
    ("budgets", "devices", "name"),
    [
        (["12ms@cpu"], ("cpu",), "mobile-12ms-cpu"),
        (["12ms"], BOTH, "mobile-12ms-cpu+Pi5"),
        (["12ms@cpu", "20ms@pi5", "9MFLOPs"], BOTH, "mobile-9MFLOPs-20ms@Pi5-12ms@cpu-cpu+Pi5"),
    ],
)
def test_the_study_is_named_after_its_limits_and_devices(budgets, devices, name):
    assert default_study_name(study_of(*budgets, devices=devices)) == name


def test_the_worst_ratio_is_known_where_every_latency_is():
    one, other = on("cpu", 1.5), on("Pi5", 3.0)
    worst = get_metric("latency-ratio")
    both = candidate(0, latencies={"cpu": one, "Pi5": other})
    assert worst.value(both) == other.ratio
    assert both.value("latency@cpu") == one.ms
    for order in ({"cpu": None, "Pi5": other}, {"Pi5": other, "cpu": None}, {}):
        assert math.isnan(worst.value(candidate(0, latencies=order)))


def test_the_view_of_a_device_is_the_study_as_if_there_was_no_other(folder):
    settings = study_of("2ms@cpu", "300MFLOPs", objectives="quality,latency@pi5,latency@cpu")
    store = opened(URL, settings=settings)
    expected = {name: Prediction(1.0, 0.1) for name in ("latency@cpu", "latency@Pi5", "quality")}
    more = {"sampled": finished(0), "predicted": expected, "budgets": settings.budgets}
    store.append(candidate(0, latencies={"cpu": on("cpu", 2.5), "Pi5": on("Pi5", 7.0)}, **more))
    store.append(candidate(1, latencies={"cpu": None, "Pi5": on("Pi5", 9.0)}, **more))
    store.save_confirmed("cpu", [0])
    record = open_study(URL, "demo").record()
    assert [trial.feasible for trial in record.trials] == [False, True]
    assert record.confirmed == frozenset()
    assert record.fingerprint is None

    cpu, board = record.on("cpu"), record.on("Pi5")
    assert cpu.settings.objectives == board.settings.objectives == ("quality", "latency")
    assert cpu.settings.device_labels == ("cpu",)
    assert [budget.text for budget in cpu.settings.budgets] == ["300MFLOPs", "2ms"]
    assert [budget.text for budget in board.settings.budgets] == ["300MFLOPs"]
    assert [trial.latency and trial.latency.ms for trial in cpu.trials] == [2.5, None]
    assert [trial.value("latency") for trial in board.trials] == [7.0, 9.0]
    assert [trial.feasible for trial in cpu.trials] == [False, True]
    assert all(trial.feasible for trial in board.trials)
    assert cpu.trials[0].predicted.keys() == {"quality", "latency"}
    assert cpu.confirmed == {0}
    assert cpu.fingerprint is not None
    with pytest.raises(UnknownNameError, match="unknown device of this study 'gpu'"):
        record.on("gpu")


def test_a_later_latency_belongs_to_its_device(folder):
    store = opened(URL, settings=study_of())
    missing = {"cpu": on("cpu", 1.5), "Pi5": None}
    store.append(candidate(0, latencies=missing, sampled=finished(0)))
    (trial,) = store.trials()
    store.save_latencies(
        [(trial, msgspec.structs.replace(on("Pi5", 6.0), ms=12.0, ci95=(11.0, 13.0)))]
    )
    store.save_metrics(trial, {"artifact@Pi5": 7.0})
    (trial,) = open_study(URL, "demo").trials()
    assert trial.value("artifact@Pi5") == 7.0
    assert trial.measured_on.keys() == {"cpu", "Pi5"}
    assert trial.latencies["cpu"] == missing["cpu"].drop_samples()
    assert trial.latencies["Pi5"].ms == 12.0

"""A study under one limit, and on one device, as an object for Python."""

from __future__ import annotations

import pytest

from gnv2_nas.errors import BudgetError, UnknownNameError
from gnv2_nas.workflows.study import Study
from tests.report.studies import on_devices, typical

STUDY = Study(typical(40, budgets=("300MFLOPs",)))
BOTH = Study(on_devices(typical(40, budgets=()), {"cpu": 1.0, "pi5": 0.7}))


def test_a_study_within_a_limit_has_the_front_within_it() -> None:
    tight = STUDY.within("0.15GFLOPs")
    assert tight.recommended in tight.front
    assert all(trial.counts.macs <= 150e6 for trial in tight.front)
    assert any(trial.counts.macs > 150e6 for trial in STUDY.front)
    fast = STUDY.within("5ms")
    assert all(trial.feasible and trial.value("latency") <= 5 for trial in fast.front)


def test_a_latency_without_a_device_holds_on_each() -> None:
    for trial in BOTH.within("6ms").front:
        assert max(latency.ms for latency in trial.measured_on.values()) <= 6
    (others,) = [BOTH.within("6ms@pi5").on("cpu")]
    assert others.front == BOTH.on("cpu").front


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("0.4GFLOPs", "has networks within 300MFLOPs only; '0.4GFLOPs' is looser"),
        ("20MB:artifact", "study 'demo' has no file size to keep '20MB:artifact'"),
    ],
)
def test_limits_that_a_study_knows_nothing_about_are_refused(budget: str, message: str) -> None:
    with pytest.raises(BudgetError, match=message):
        STUDY.within(budget)


def test_a_device_that_is_not_in_the_study_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"'pi4'.*pi5"):
        BOTH.on("pi4")

"""What stands where a front would be when no network keeps every budget."""

from __future__ import annotations

import msgspec
import pytest

from gnv2_nas.cli.search import print_front
from gnv2_nas.search.study.budgets import Budget
from gnv2_nas.search.study.records import StudyRecord, Trial
from tests.report.studies import candidate, found_architecture, study


def breaking(number: int, **limits: float) -> Trial:
    """A network that takes 7.3 ms and breaks a budget of each of these metrics."""
    budgets = tuple(Budget(metric, limit, metric) for metric, limit in limits.items())
    return msgspec.structs.replace(candidate(number, found_architecture(number)), budgets=budgets)


def told(capfd: pytest.CaptureFixture[str], record: StudyRecord) -> str:
    print_front(record, [])
    printed = capfd.readouterr()
    assert printed.out == ""
    return printed.err.strip()


def test_the_nearest_network_and_what_it_breaks(capfd: pytest.CaptureFixture[str]) -> None:
    far, near = breaking(1, latency=7.3 / 1.4, memory=1e6), breaking(2, latency=7.3 / 1.031)
    assert told(capfd, study([far, near])) == (
        "no network keeps every budget yet; nearest is demo:2, which breaks latency by 3.1%"
    )


def test_a_study_without_trials(capfd: pytest.CaptureFixture[str]) -> None:
    assert told(capfd, study([])) == "no network was evaluated yet"

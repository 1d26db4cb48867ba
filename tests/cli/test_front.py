"""What stands where a front would be when no network keeps every budget."""

from __future__ import annotations

import pytest

from gnv2_nas.cli.search import print_findings
from gnv2_nas.search.study.records import StudyRecord
from tests.report.studies import candidate, found_architecture, study


def told(capfd: pytest.CaptureFixture[str], record: StudyRecord) -> str:
    print_findings(record)
    printed = capfd.readouterr()
    assert printed.out == ""
    return printed.err.strip()


def test_the_nearest_network_and_what_it_breaks(capfd: pytest.CaptureFixture[str]) -> None:
    far, near = (candidate(number, found_architecture(number)) for number in (1, 2))
    limit = f"{near.counts.memory_bytes / 1.031:.0f}B"
    assert far.counts.memory_bytes > near.counts.memory_bytes
    assert told(capfd, study([far, near], budgets=[limit])) == (
        f"no network keeps every budget yet; nearest is demo:2, which breaks {limit} by 3.1%"
    )


def test_a_study_without_trials(capfd: pytest.CaptureFixture[str]) -> None:
    assert told(capfd, study([])) == "no network was evaluated yet"

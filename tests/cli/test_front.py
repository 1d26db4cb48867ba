"""What stands where a front would be when no network keeps every budget."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gnv2_nas.cli.search import print_findings, print_outcome
from gnv2_nas.search.study.budgets import parse_budgets
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
    over = [replace(each, budgets=parse_budgets([limit])) for each in (far, near)]
    assert told(capfd, study(over, budgets=[limit])) == (
        f"no network keeps every budget yet; nearest is demo:2, which breaks {limit} by 3.1%"
    )


def test_a_list_of_budgets_has_a_network_and_a_command_for_each(
    capfd: pytest.CaptureFixture[str],
) -> None:
    small = candidate(1, found_architecture(3), ratio=0.5)
    knee = candidate(2, found_architecture(0), quality=94.0, ratio=0.8)
    best = candidate(3, found_architecture(1), quality=95.0, ratio=1.5)
    assert small.counts.macs < min(knee.counts.macs, best.counts.macs)
    tight = f"{small.counts.macs}FLOPs"
    print_outcome(study([small, knee, best], budgets=[f"{tight},1GFLOPs,2GFLOPs"]), None)
    printed = capfd.readouterr()
    table = printed.out.split("picks", 1)[1]
    rows = [line.split()[:3] for line in table.splitlines() if ": " in line]
    assert rows == [
        [f"{tight}:", "recommended", "1"],
        ["1GFLOPs:", "recommended", "3"],
        ["2GFLOPs:", "recommended", "3"],
    ]
    assert [line for line in printed.err.splitlines() if line.startswith("next")] == [
        f"next within {tight}: gnv2-nas export demo:1 --format onnx",
        "next within 1GFLOPs and 2GFLOPs: gnv2-nas export demo:3 --format onnx",
    ]


def test_a_study_without_trials(capfd: pytest.CaptureFixture[str]) -> None:
    assert told(capfd, study([])) == "no network was evaluated yet"

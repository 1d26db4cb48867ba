"""Hypervolume over evaluations as the report draws and tells it."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from gnv2_nas.report.figures.convergence_figure import (
    ConvergenceInfo,
    convergence_figure,
    convergence_info,
    describe_convergence,
)
from gnv2_nas.report.figures.front_figure import front_figure, front_info
from gnv2_nas.report.frames import trials_frame
from gnv2_nas.search.analysis.convergence import hypervolume_history
from gnv2_nas.search.study.metrics import format_share
from gnv2_nas.search.study.records import StudyRecord
from tests.report.studies import searched, typical

RECORD = searched()
DESIGN = 24
STOCK = sum(bool(one.baseline) for one in RECORD.trials)


def info_of(record: StudyRecord = RECORD) -> ConvergenceInfo:
    info = convergence_info(record)
    assert info is not None
    return info


def as_origin(record: StudyRecord, origin: str) -> StudyRecord:
    """`record` as if all that was found had one origin."""
    found = [one if one.baseline else replace(one, origin=origin) for one in record.trials]
    return replace(record, trials=tuple(found))


def test_the_staircase_is_the_history() -> None:
    info = info_of()
    history = hypervolume_history(RECORD.trials, RECORD.settings.objectives)
    steps = np.interp(np.arange(1, len(history) + 1), info.x, np.arange(len(info.x)))
    assert np.array(info.y)[np.floor(steps).astype(int)] == pytest.approx(history, abs=1e-5)
    assert info.trials == [RECORD.trials[place - 1].number for place in info.x]


def test_the_random_line_ends_where_the_search_left_the_design() -> None:
    """All orders end with the same networks: the first of the search, stock and design."""
    random = info_of().random
    assert random is not None
    assert random.x == list(range(STOCK + 1, STOCK + DESIGN + 1))
    history = hypervolume_history(RECORD.trials, RECORD.settings.objectives)
    ends = [line[-1] for line in (random.low, random.mean, random.high)]
    assert ends == pytest.approx([history[STOCK + DESIGN - 1]] * 3, abs=1e-5)
    assert random.mean == sorted(random.mean)
    between = zip(random.low, random.mean, random.high, strict=True)
    assert all(low <= mean <= high for low, mean, high in between)


def test_the_level_is_dotted_to_the_end() -> None:
    format_key_path = [one for one in convergence_figure(info_of()).data if one.line.dash == "dot"]
    assert [list(one.x) for one in format_key_path] == [[STOCK + DESIGN, len(RECORD.trials)]]


@pytest.mark.parametrize("origin", ["random", "model", ""])
def test_without_a_design_beside_the_search_there_is_one_line(origin: str) -> None:
    record = as_origin(RECORD, origin)
    assert info_of(record).random is None
    assert len(convergence_figure(info_of(record)).data) == 1
    assert not any("random" in line for line in describe_convergence(info_of(record)))
    assert front_info(record, trials_frame(record), None).design == ([], [])


def test_networks_of_the_design_are_framed_in_the_front_figure() -> None:
    info = front_info(RECORD, trials_frame(RECORD), None)
    assert len(info.design[0]) == DESIGN
    (frame,) = (one for one in front_figure(info).data if one.marker.symbol == "square-open")
    assert frame.name == f"random design ({DESIGN})"


def test_sentences_tell_gain_estimate_and_flatness() -> None:
    info = info_of()
    assert info.random is not None
    assert info.left is not None
    gain, estimate, recent = describe_convergence(info)
    assert f"{100 * (info.y[-1] / info.random.mean[-1] - 1):.0f}% larger than" in gain
    assert "not a comparison at equal numbers" in gain
    assert f"{info.left.evaluations} more evaluations would add" in estimate
    assert "interval" not in estimate
    for share in (info.left.expected, info.left.low, info.left.high):
        assert format_share(share) in estimate
    assert "flat" not in recent
    flat = describe_convergence(replace(info, flat=True))[-1]
    assert "so the search is flat by the rule of --stop-when-flat" in flat


def test_a_search_that_ended_long_ago_is_flat() -> None:
    beaten = replace(RECORD.trials[-1], quality=0.0)
    record = replace(RECORD, trials=(*RECORD.trials, *[beaten] * 100))
    assert info_of(record).flat
    assert info_of(record).recent == 0
    assert not info_of().flat


@pytest.mark.parametrize("record", [typical(3), typical(40, budgets=("1MFLOPs",))])
def test_of_nine_networks_or_nothing_feasible_there_is_no_line(record: StudyRecord) -> None:
    assert convergence_info(record) is None


@pytest.mark.parametrize("objectives", [("latency",), ("quality", "latency", "macs")])
def test_any_number_of_objectives_has_a_line(objectives: tuple[str, ...]) -> None:
    info = info_of(searched(60, objectives=objectives))
    assert 0 < info.y[0] <= info.y[-1] <= 1

"""What a log says while a workflow runs."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gnv2_nas.cli.progress import ProgressDisplay
from gnv2_nas.training import TrainingPoint
from gnv2_nas.workflows import events
from gnv2_nas.workflows.events import (
    LogPace,
    Message,
    TaskProgress,
    TrainingProgress,
    print_events,
    report_task,
)

POINT = TrainingPoint(
    step=40, steps=120, epoch=3.14, loss=1.2345, accuracy=None, learning_rate=0.1,
    seconds=62.0, seconds_left=125.0,
)  # fmt: skip


def test_a_line_of_one_network() -> None:
    assert TrainingProgress(POINT, (0.932,)).line() == (
        "step 40/120 · epoch 3.1 · loss 1.234 · held-out 93.2% · 2 min 5 s left"
    )


def test_a_line_of_a_supernet() -> None:
    line = TrainingProgress(replace(POINT, seconds_left=None), (0.9, 0.8)).line()
    assert line == "step 40/120 · epoch 3.1 · loss 1.234 · largest 90.0% · smallest 80.0%"


@pytest.mark.parametrize("shown_by", ["command line", "script"])
def test_a_log_gets_few_lines_and_every_message(
    shown_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    display = ProgressDisplay() if shown_by == "command line" else print_events()
    for step in range(1, 121):
        if step == 60:
            display(Message("memory ran out"))
        display(TrainingProgress(replace(POINT, step=step), (0.5,)))
    lines = capsys.readouterr().err.splitlines()
    # The first and the last step: ten seconds have not passed.
    assert [line.split(" · ")[0] for line in lines] == [
        "step 1/120", "memory ran out", "step 120/120",
    ]  # fmt: skip
    assert "held-out 50.0%" in lines[-1]


def test_a_task_is_logged_only_if_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 11.0, 12.0, 21.5, 22.0])
    monkeypatch.setattr(events.time, "monotonic", lambda: next(clock))
    pace = LogPace()
    due = [pace.is_due(TaskProgress("reading", share)) for share in (0.0, 0.2, 0.4, 0.5, 0.9, 1.0)]
    assert due == [False, False, True, False, True, False]


def test_a_task_reports_its_share_and_its_end() -> None:
    reported: list[TaskProgress] = []
    with report_task(reported.append, "reading") as report:
        report(0.5)
    assert [(each.task, each.share) for each in reported] == [
        ("reading", 0.0), ("reading", 0.5), ("reading", 1.0),
    ]  # fmt: skip

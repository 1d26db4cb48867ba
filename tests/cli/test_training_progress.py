"""What a log says while a network is trained."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gnv2_nas.cli.training_progress import TrainingProgress, training_line
from gnv2_nas.training import TrainingPoint

POINT = TrainingPoint(
    step=40, steps=120, epoch=3.14, loss=1.2345, accuracy=None, learning_rate=0.1,
    seconds=62.0, seconds_left=125.0,
)  # fmt: skip


def test_a_line_of_one_network() -> None:
    assert training_line(POINT, (0.932,)) == (
        "step 40/120 · epoch 3.1 · loss 1.234 · held-out 93.2% · 2 min 5 s left"
    )


def test_a_line_of_a_supernet() -> None:
    line = training_line(replace(POINT, seconds_left=None), (0.9, 0.8))
    assert line == "step 40/120 · epoch 3.1 · loss 1.234 · largest 90.0% · smallest 80.0%"


def test_a_log_gets_few_lines_and_every_note(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress() as progress:
        for step in range(1, 121):
            note = "memory ran out" if step == 60 else ""
            accuracy = 0.5 if step == 30 else None
            progress.show(replace(POINT, step=step, accuracy=accuracy, note=note))
    lines = capsys.readouterr().err.splitlines()
    # The first and the last step; ten seconds have not gone by.
    assert [line.split(" · ")[0] for line in lines] == [
        "step 1/120", "step 60: memory ran out", "step 120/120",
    ]  # fmt: skip
    assert "held-out 50.0%" in lines[-1]

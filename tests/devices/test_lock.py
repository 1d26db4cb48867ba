"""One measures or several score on a machine, also between processes and after their death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gnv2_nas.devices import Device
from gnv2_nas.devices import lock as device_lock
from gnv2_nas.devices.lock import Turn, lock_folder, measuring, scoring
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.errors import OutputError
from gnv2_nas.measurement import calibration, measure, open_device
from gnv2_nas.measurement.calibration import calibrate
from gnv2_nas.measurement.layers import profile_layers
from gnv2_nas.measurement.plan import Plan
from tests.measurement.networks import tiny_ghost

PATIENCE = 30.0
"""Seconds; only a broken lock takes so long."""

HOLDER = """
import sys
from gnv2_nas.devices import lock as device_lock
device_lock.SECONDS_BEFORE_TELLING = 0
with device_lock.{use}(lambda told: print(told, flush=True)):
    print("has it", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch) -> Path:
    """A temporary folder of its own, so that nothing else on this machine is in the way."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@contextmanager
def other(use: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that measures or scores, or waits until it may."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(use=use)], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line it prints."""
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    line = process.stdout.readline().strip()
    late.cancel()
    return line


def free_for(use: str) -> bool:
    """Whether one could begin now."""
    turn = Turn(use)
    try:
        return turn.try_take()
    finally:
        turn.give_back()


def test_while_one_process_measures_no_other_measures_or_scores():
    with other("measuring") as process:
        assert line_of(process) == "has it"
        assert not free_for("measuring")
        assert not free_for("scoring")
        process.communicate("\n", timeout=PATIENCE)
        assert process.returncode == 0
    assert free_for("measuring")


def test_processes_score_side_by_side_and_keep_others_from_measuring():
    with other("scoring") as one:
        assert line_of(one) == "has it"
        with other("scoring") as two:
            assert line_of(two) == "has it"
            assert free_for("scoring")
            assert not free_for("measuring")


@pytest.mark.parametrize("use", ["measuring", "scoring"])
def test_a_killed_process_holds_nothing(use):
    with other(use) as process:
        assert line_of(process) == "has it"
        process.kill()
        process.wait(PATIENCE)
        assert free_for("measuring")


def test_one_that_waits_to_measure_is_not_passed_by_others_that_score():
    scorer, measurer, late = Turn("scoring"), Turn("measuring"), Turn("scoring")
    assert scorer.try_take()
    assert not scorer.wanted()
    assert not measurer.try_take()
    assert scorer.wanted()
    assert not late.try_take()
    scorer.give_back()
    assert not late.try_take()
    assert measurer.try_take()
    assert not late.try_take()
    measurer.give_back()
    assert late.try_take()
    late.give_back()


def test_two_that_measure_take_turns():
    one, two = Turn("measuring"), Turn("measuring")
    assert one.try_take()
    for _ in range(3):
        assert not two.try_take()
        one.give_back()
        assert not one.try_take()
        assert two.try_take()
        one, two = two, one
    one.give_back()
    two.give_back()


def test_to_stop_waiting_lets_others_pass():
    scorer, measurer = Turn("scoring"), Turn("measuring")
    assert scorer.try_take()
    assert not measurer.try_take()
    measurer.give_back()
    assert not scorer.wanted()
    assert free_for("scoring")
    scorer.give_back()


@pytest.mark.parametrize("use", ["measuring", "scoring"])
def test_a_waiting_process_says_for_whom_and_has_its_turn_afterwards(use):
    turn = Turn("measuring")
    assert turn.try_take()
    with other(use) as process:
        assert line_of(process) == (
            f"another gnv2-nas on this machine is measuring (pid {os.getpid()}); waiting"
        )
        turn.give_back()
        assert line_of(process) == "has it"


def test_a_dead_process_is_not_named(monkeypatch):
    monkeypatch.setattr(device_lock, "SECONDS_BEFORE_TELLING", 0)
    with other("measuring") as process:
        assert line_of(process) == "has it"
    told = []
    with scoring():
        turn = Turn("measuring", told.append)
        assert not turn.try_take()
        assert not turn.try_take()
        turn.give_back()
    assert told == ["another gnv2-nas on this machine is scoring networks; waiting"]


def test_short_waits_are_not_told():
    told = []
    with measuring():
        turn = Turn("scoring", told.append)
        assert not turn.try_take()
        turn.give_back()
    assert told == []


def test_a_waiting_process_can_be_interrupted_and_leaves_the_queue():
    turn = Turn("scoring")
    assert turn.try_take()
    with other("measuring") as process:
        assert "is scoring" in line_of(process)
        assert not free_for("scoring")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        assert errors.strip().endswith("KeyboardInterrupt")
        assert free_for("scoring")
    turn.give_back()


def test_a_thread_does_not_wait_for_itself():
    with measuring():
        with measuring(), scoring():
            assert not free_for("scoring")
        assert not free_for("scoring")
    with scoring(), scoring():
        assert free_for("scoring")
    assert free_for("measuring")


def test_measuring_within_scoring_is_refused_and_not_waited_for():
    with (
        scoring(),
        pytest.raises(RuntimeError, match="would wait for itself"),
        measuring(),
    ):
        pass
    assert free_for("measuring")


def test_another_thread_of_the_process_does_wait():
    began, may_end = threading.Event(), threading.Event()

    def score() -> None:
        with scoring():
            began.set()
            may_end.wait(PATIENCE)

    thread = threading.Thread(target=score)
    with measuring():
        thread.start()
        assert not began.wait(0.05)
    assert began.wait(PATIENCE)
    assert not free_for("measuring")
    may_end.set()
    thread.join()
    assert free_for("measuring")


def test_an_error_in_the_block_ends_the_turn():
    with pytest.raises(ValueError, match="of the block"), measuring():
        raise ValueError("of the block")
    assert free_for("measuring")


def test_the_folder_is_of_this_user_alone(temporary):
    assert lock_folder().parent == temporary
    assert lock_folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("make", ["link", "file"])
def test_what_someone_else_put_in_its_place_is_not_used(temporary, make):
    place = temporary / f"gnv2-nas-{os.getuid()}"
    if make == "file":
        place.touch()
    else:
        (temporary / "elsewhere").mkdir()
        place.symlink_to(temporary / "elsewhere")
    with pytest.raises(OutputError, match="gnv2-nas-"), measuring():
        pass
    assert not list(temporary.glob("elsewhere/*"))


@pytest.fixture
def quick() -> Device:
    """A device that compares with one tiny network."""
    device = open_device("cpu")
    device.panel = {REFERENCE: tiny_ghost()}
    return device


def test_networks_are_timed_alone_on_the_machine(quick):
    free = []
    measure(
        [tiny_ghost()], quick, precision=1, seconds_per_network=0.1,
        progress=lambda _: free.append(free_for("scoring")),
    )  # fmt: skip
    *during, after = free
    assert during
    assert not any(during)
    assert after


def test_a_device_is_calibrated_alone_on_the_machine(quick, monkeypatch):
    monkeypatch.setattr(calibration, "PLAN", Plan(sessions=1, rounds=2, max_sessions=1))
    free = []
    calibrate(quick, progress=lambda _: free.append(free_for("scoring")))
    assert free == [False, False, True]


def test_layers_are_timed_alone_on_the_machine(quick, monkeypatch):
    timed, free = quick.runtime.layer_seconds, []

    def watched(*arguments):
        free.append(free_for("scoring"))
        return timed(*arguments)

    monkeypatch.setattr(quick.runtime, "layer_seconds", watched)
    assert profile_layers(tiny_ghost(), quick, runs=1)
    assert free == [False]

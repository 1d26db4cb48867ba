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
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.errors import OutputError
from gnv2_nas.measurement import calibration, measure, open_device
from gnv2_nas.measurement.calibration import calibrate
from gnv2_nas.measurement.layers import profile_layers
from gnv2_nas.measurement.plan import MeasurementPlan
from gnv2_nas.runner import lock as device_lock
from gnv2_nas.runner.lock import DeviceLock, give_way, lock_folder
from tests.measurement.networks import tiny_ghost
from tests.waiting import until

PATIENCE = 30.0
"""Seconds; only a broken lock takes so long."""

HOLDER = """
import sys
from gnv2_nas.runner import lock as device_lock
device_lock.SECONDS_BEFORE_TELLING = 0
with device_lock.DeviceLock.{mode}(lambda told: print(told, flush=True)):
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
def other(mode: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that measures or scores, or waits until it may."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(mode=mode)], text=True,
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


def free_for(mode: str) -> bool:
    """Whether one could begin now."""
    lock = DeviceLock(mode)
    try:
        return lock.try_acquire()
    finally:
        lock.release()


def test_while_one_process_measures_no_other_measures_or_scores():
    with other("exclusive") as process:
        assert line_of(process) == "has it"
        assert not free_for("exclusive")
        assert not free_for("shared")
        process.communicate("\n", timeout=PATIENCE)
        assert process.returncode == 0
    assert free_for("exclusive")


def test_processes_score_side_by_side_and_keep_others_from_measuring():
    with other("shared") as one:
        assert line_of(one) == "has it"
        with other("shared") as two:
            assert line_of(two) == "has it"
            assert free_for("shared")
            assert not free_for("exclusive")


@pytest.mark.parametrize("mode", ["exclusive", "shared"])
def test_a_killed_process_holds_nothing(mode):
    with other(mode) as process:
        assert line_of(process) == "has it"
        process.kill()
        process.wait(PATIENCE)
        assert free_for("exclusive")


def test_one_that_waits_to_measure_is_not_passed_by_others_that_score():
    scorer, measurer, late = DeviceLock("shared"), DeviceLock("exclusive"), DeviceLock("shared")
    assert scorer.try_acquire()
    assert not scorer.contended()
    assert not measurer.try_acquire()
    assert scorer.contended()
    assert not late.try_acquire()
    scorer.release()
    assert not late.try_acquire()
    assert measurer.try_acquire()
    assert not late.try_acquire()
    measurer.release()
    assert late.try_acquire()
    late.release()


def test_two_that_measure_take_turns():
    one, two = DeviceLock("exclusive"), DeviceLock("exclusive")
    assert one.try_acquire()
    for _ in range(3):
        assert not two.try_acquire()
        one.release()
        assert not one.try_acquire()
        assert two.try_acquire()
        one, two = two, one
    one.release()
    two.release()


def test_to_stop_waiting_lets_others_pass():
    scorer, measurer = DeviceLock("shared"), DeviceLock("exclusive")
    assert scorer.try_acquire()
    assert not measurer.try_acquire()
    measurer.release()
    assert not scorer.contended()
    assert free_for("shared")
    scorer.release()


@pytest.mark.parametrize("mode", ["exclusive", "shared"])
def test_a_waiting_process_says_for_whom_and_has_its_turn_afterwards(mode):
    lock = DeviceLock("exclusive")
    assert lock.try_acquire()
    with other(mode) as process:
        assert line_of(process) == (
            f"another gnv2-nas on this machine is measuring (pid {os.getpid()}); waiting"
        )
        lock.release()
        assert line_of(process) == "has it"


def test_a_dead_process_is_not_named(monkeypatch):
    monkeypatch.setattr(device_lock, "SECONDS_BEFORE_TELLING", 0)
    with other("exclusive") as process:
        assert line_of(process) == "has it"
    told = []
    with DeviceLock.shared():
        lock = DeviceLock("exclusive", told.append)
        assert not lock.try_acquire()
        assert not lock.try_acquire()
        lock.release()
    assert told == ["another gnv2-nas on this machine is scoring networks; waiting"]


def test_short_waits_are_not_told():
    told = []
    with DeviceLock.exclusive():
        lock = DeviceLock("shared", told.append)
        assert not lock.try_acquire()
        lock.release()
    assert told == []


def test_a_waiting_process_can_be_interrupted_and_leaves_the_queue():
    lock = DeviceLock("shared")
    assert lock.try_acquire()
    with other("exclusive") as process:
        assert "is scoring" in line_of(process)
        assert not free_for("shared")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        assert errors.strip().endswith("KeyboardInterrupt")
        assert free_for("shared")
    lock.release()


def test_a_thread_does_not_wait_for_itself():
    with DeviceLock.exclusive():
        with DeviceLock.exclusive(), DeviceLock.shared():
            assert not free_for("shared")
        assert not free_for("shared")
    with DeviceLock.shared(), DeviceLock.shared():
        assert free_for("shared")
    assert free_for("exclusive")


def test_measuring_within_scoring_is_refused_and_not_waited_for():
    with (
        DeviceLock.shared(),
        pytest.raises(RuntimeError, match="would wait for itself"),
        DeviceLock.exclusive(),
    ):
        pass
    assert free_for("exclusive")


def test_another_thread_of_the_process_does_wait():
    began, may_end = threading.Event(), threading.Event()

    def score() -> None:
        with DeviceLock.shared():
            began.set()
            may_end.wait(PATIENCE)

    thread = threading.Thread(target=score)
    with DeviceLock.exclusive():
        thread.start()
        assert not began.wait(0.05)
    assert began.wait(PATIENCE)
    assert not free_for("exclusive")
    may_end.set()
    thread.join()
    assert free_for("exclusive")


@pytest.mark.parametrize("turn", [0, 1000])
def test_a_long_turn_gives_way_to_one_that_waits_to_measure(monkeypatch, turn):
    monkeypatch.setattr(device_lock, "MIN_TURN_SECONDS", turn)
    began, asked, went_on, may_end = (threading.Event() for _ in range(4))

    def score() -> None:
        with DeviceLock.shared():
            began.set()
            asked.wait(PATIENCE)
            give_way()
            went_on.set()
            may_end.wait(PATIENCE)

    thread = threading.Thread(target=score)
    thread.start()
    assert began.wait(PATIENCE)
    measurer = DeviceLock("exclusive")
    assert not measurer.try_acquire()
    asked.set()
    if turn == 0:
        until(measurer.try_acquire)
        assert not went_on.is_set()
        measurer.release()
    assert went_on.wait(PATIENCE)
    assert not free_for("exclusive")
    may_end.set()
    thread.join()
    measurer.release()
    assert free_for("exclusive")


def test_an_error_in_the_block_ends_the_turn():
    with pytest.raises(ValueError, match="of the block"), DeviceLock.exclusive():
        raise ValueError("of the block")
    assert free_for("exclusive")


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
    with pytest.raises(OutputError, match="gnv2-nas-"), DeviceLock.exclusive():
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
        progress=lambda share: share and free.append(free_for("shared")),
    )  # fmt: skip
    *during, after = free
    assert during
    assert not any(during)
    assert after


def test_a_device_is_calibrated_alone_on_the_machine(quick, monkeypatch):
    monkeypatch.setattr(calibration, "PLAN", MeasurementPlan(sessions=1, rounds=2, max_sessions=1))
    free = []
    calibrate(quick, progress=lambda _: free.append(free_for("shared")))
    assert free == [False, False, True]


def test_layers_are_timed_alone_on_the_machine(quick, monkeypatch):
    timed, free = quick.runtime.layer_seconds, []

    def watched(*arguments):
        free.append(free_for("shared"))
        return timed(*arguments)

    monkeypatch.setattr(quick.runtime, "layer_seconds", watched)
    assert profile_layers(tiny_ghost(), quick, runs=1)
    assert free == [False]

"""A device without our runner: its shell holds the lock and reads the kernel's files."""

from __future__ import annotations

import os
import tempfile
import threading
import time

import pytest

from gnv2_nas.devices.condition_files import read_conditions
from gnv2_nas.devices.fingerprint import fingerprint
from gnv2_nas.devices.programs import lock as remote_lock
from gnv2_nas.devices.programs.lock import lock_device
from gnv2_nas.devices.programs.machine import (
    describe_device,
    read_fingerprint,
    read_remote_files,
)
from gnv2_nas.errors import OutOfTimeError
from gnv2_nas.runner.conditions import list_patterns, read_files
from gnv2_nas.runner.lock import DeviceLock, lock_deadline


@pytest.fixture(autouse=True)
def _temporary(tmp_path, monkeypatch):
    """A temporary folder of its own, so that nothing else on this machine has the lock."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def is_free(mode) -> bool:
    lock = DeviceLock(mode)
    try:
        return lock.try_acquire()
    finally:
        lock.release()


def test_the_shell_takes_the_lock_of_our_runner(device):
    with lock_device(device, "board", "shared", lambda _: None):
        assert is_free("shared")
        assert not is_free("exclusive")
    with lock_device(device, "board", "exclusive", lambda _: None):
        assert not is_free("shared")
    assert is_free("exclusive")


def test_it_waits_for_our_runner_and_says_so(device, monkeypatch):
    monkeypatch.setattr(remote_lock, "SECONDS_BEFORE_TELLING", 0.0)
    told, may_end = [], threading.Event()

    def tell(sentence: str) -> None:
        told.append(sentence)
        may_end.set()

    holder = DeviceLock("shared")
    assert holder.try_acquire()
    releasing = threading.Thread(target=lambda: (may_end.wait(), holder.release()))
    releasing.start()
    with lock_device(device, "board", "exclusive", tell):
        assert not is_free("shared")
    releasing.join()
    assert told == ["another gnv2-nas uses board; waiting"]


def test_waiting_ends_at_the_deadline(device):
    with (
        DeviceLock.exclusive(),
        lock_deadline(time.monotonic() + 0.3),
        pytest.raises(OutOfTimeError, match="while another gnv2-nas used board"),
        lock_device(device, "board", "shared", lambda _: None),
    ):
        pass


def test_a_device_whose_lock_fails_is_used_without(device, tmp_path, monkeypatch):
    program = tmp_path / "flock"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    told = []
    with (
        lock_deadline(time.monotonic() + 10),
        lock_device(device, "board", "exclusive", told.append),
    ):
        assert told[-1].startswith("board cannot be locked: make sure that nothing else")


def test_the_shell_sees_what_python_sees(device):
    here, there = fingerprint("tool 1"), describe_device(device, "tool 1")
    assert (there.cpu, there.system, there.runtime) == (here.cpu, here.system, "tool 1")
    assert there.memory_gib == pytest.approx(here.memory_gib, rel=0.1)
    assert there.cores >= here.cores
    files = read_remote_files(device, (), thorough=True)
    assert files.keys() >= {"proc/loadavg", "proc/meminfo"}
    here = read_files(list_patterns(thorough=True))
    constant = {name for name in here if name.endswith(("/type", "online"))}
    assert files.keys() >= constant


def test_conditions_are_those_of_the_pinned_cores(device):
    files = read_remote_files(device, ("taskset", "1"), thorough=False)
    assert read_conditions(files).cores == "0"


def test_a_device_that_tells_nothing_has_a_fingerprint():
    found = read_fingerprint({}, "", "tool 1")
    assert (found.cpu, found.cores, found.governor) == ("unknown", 1, "unknown")

"""Searches with workers as processes of their own: side by side, interrupted, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.search.engine.scorers import attempts
from tests.waiting import PATIENCE, all_gone, all_stopped, until

ROOT = Path(__file__).parents[2]

SPINNING = """
import sys
from functools import partial
from pathlib import Path
from gnv2_nas.search.engine.workers import Workers
from tests.search.engine import scorers
folder = Path(sys.argv[1])
make = partial(scorers.scripted, folder, {1: ["spin"], 2: ["spin"]})
with Workers(2, make, 60) as workers:
    try:
        {what}
    except KeyboardInterrupt:
        print("interrupted")
"""
SCORES = "workers.scores([scorers.network(n) for n in (1, 2, 3)])"
STANDS_STILL = """\
spun = [workers.submit(scorers.network(n)) for n in (1, 2)]
        while not all(scorers.attempts(folder, n) for n in (1, 2)):
            pass
        with workers.paused():
            print("paused", flush=True)
            sys.stdin.readline()
"""

SEARCH = """
import sys
from functools import partial
from pathlib import Path
from gnv2_nas.runner.lock import DeviceLock
from gnv2_nas.search.engine.workers import Workers
from tests.search.engine import scorers
from tests.waiting import state, until
mine, *others = map(Path, sys.argv[1:])
make = partial(scorers.scripted, mine, {1: ["spin"], 2: ["spin"]})

def counted():
    return [file.read_text() for file in mine.glob("count-*")]

with Workers(2, make, 60) as workers:
    spun = [workers.submit(scorers.network(n)) for n in (1, 2)]
    until(lambda: len(counted()) == 2)
    for batch in range(5):
        before = counted()
        until(lambda: counted() != before)
        with workers.paused(), DeviceLock.exclusive():
            with Path("measured").open("a") as log:
                log.write(f"{mine.name} begins\\n")
            for folder in (mine, *others):
                states = [state(pid) for n in (1, 2) for pid in scorers.attempts(folder, n)]
                # Workers of a search that is done are idle, about to be, or gone.
                allowed = {"T", "S", "R", ""} if (folder / "enough").exists() else {"T"}
                assert allowed.issuperset(states), f"computing beside a measurement: {states}"
            with Path("measured").open("a") as log:
                log.write(f"{mine.name} ends\\n")
    (mine / "enough").touch()
    print(*(score.result(60) for score in spun))
"""


@contextmanager
def program(code: str, folder: Path, *arguments: Path) -> Iterator[subprocess.Popen[str]]:
    """A Python program in a process group of its own, with a device lock of its own."""
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)], text=True, cwd=folder,
        env=environment, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    with process:
        try:
            yield process
        finally:
            late.cancel()
            process.kill()


def workers_of(folder: Path) -> list[int]:
    """Both workers of a program, once they compute."""
    until(lambda: all(attempts(folder, number) for number in (1, 2)))
    return [pid for number in (1, 2) for pid in attempts(folder, number)]


@pytest.mark.parametrize("what", [SCORES, STANDS_STILL], ids=["computing", "stopped"])
def test_workers_are_gone_when_their_parent_is_killed(tmp_path, what):
    with program(SPINNING.replace("{what}", what), tmp_path, tmp_path) as parent:
        workers = workers_of(tmp_path)
        if what == STANDS_STILL:
            assert parent.stdout.readline() == "paused\n"
            assert all_stopped(workers)
        assert not all_gone(workers)
        parent.kill()
        until(lambda: all_gone(workers))


def test_an_interrupt_is_for_the_parent_alone(tmp_path):
    with program(SPINNING.replace("{what}", SCORES), tmp_path, tmp_path) as parent:
        workers = workers_of(tmp_path)
        # What a terminal does on Ctrl-C.
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.communicate() == ("interrupted\n", "")
        assert parent.returncode == 0
        assert all_gone(workers)


def test_two_searches_measure_in_turns_while_the_workers_of_both_stand_still(tmp_path):
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    one, two = folders
    with (
        program(SEARCH, tmp_path, one, two) as first,
        program(SEARCH, tmp_path, two, one) as second,
    ):
        for search in (first, second):
            assert search.communicate() == ("1.0 2.0\n", "")
            assert search.returncode == 0
    lines = (tmp_path / "measured").read_text().splitlines()
    assert sorted(lines) == sorted(
        f"{name} {what}" for name in ("one", "two") for what in ("begins", "ends") for _ in range(5)
    )
    for begins, ends in zip(lines[::2], lines[1::2], strict=True):
        assert begins.split() == [ends.split()[0], "begins"]

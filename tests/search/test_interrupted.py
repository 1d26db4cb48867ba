"""A real search that is killed, interrupted or has no room left: what is stored stays."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.killing import Outcome, killed
from gnv2_nas.arch import presets
from gnv2_nas.search.storage.studies import open_study
from tests.forks import forks
from tests.search.search_helpers import STORAGE, searched
from tests.search.spaces import SMALL, write_space
from tests.waiting import state, until

STOCK = len(presets.STOCK)


def search(folder: Path, trials: int) -> list[str]:
    space = write_space(folder, SMALL)
    return [
        "search", "--space", str(space), "--quality", "params", "--study", "demo",
        "--objectives", "quality,macs", "--trials", str(trials), "--storage", STORAGE,
    ]  # fmt: skip


def stored(folder: Path) -> int:
    """Trials in the database so far."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/studies.db?mode=ro", uri=True)) as database:
            (count,) = database.execute("SELECT count(*) FROM trials").fetchone()
    except sqlite3.Error:
        return 0
    return count


def stop_at(folder: Path, trials: int, signum: int, wanted: int = 200) -> tuple[int, str, str]:
    """Begin a search and send it a signal once so many trials are stored."""
    fork = forks().start(*search(folder, wanted), cwd=folder)
    until(lambda: stored(folder) >= trials)
    os.kill(fork.pid, signum)
    return forks().wait(fork), fork.out.read_text(), fork.err.read_text()


def fail(arguments: Sequence[str], folder: Path, largest_file: int) -> str:
    """Run a search on a full disk and return its messages."""
    fork = forks().start(*arguments, cwd=folder, largest_file=largest_file)
    assert forks().wait(fork) == 1
    err = fork.err.read_text()
    assert "Traceback" not in err
    return err


def whole_trials() -> list[str]:
    """Networks of the study, each read back whole."""
    record = open_study(STORAGE, "demo").record()
    assert [each.number for each in record.trials] == list(range(len(record.trials)))
    return [each.architecture.id for each in record.trials]


class Forked:
    """A search in a fork, for `killed`."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        self.fork = forks().start(*arguments, cwd=folder)

    def begun(self) -> bool:
        return self.ended() or self.fork.err.stat().st_size > 0

    def ended(self) -> bool:
        return state(self.fork.pid) == ""

    def kill(self) -> None:
        os.kill(self.fork.pid, signal.SIGKILL)
        forks().wait(self.fork)

    def wait(self) -> None:
        assert forks().wait(self.fork) == 0, self.fork.err.read_text()


def test_killed_at_random_moments_nothing_is_lost_and_nothing_twice(folder):
    outcome = killed(folder, Forked, trials=40, kills=4, rng=random.Random(7))
    assert outcome == Outcome(outcome.kills, 0, 0, "ok", trials=40, wanted=40)
    assert outcome.kills >= 2


def test_interrupted_it_says_how_to_go_on_and_reports_what_there_is(folder):
    code, out, err = stop_at(folder, STOCK + 5, signal.SIGINT)
    assert "interrupted; run the same command again to continue" in err
    assert "Traceback" not in err
    assert code in (0, 128 + signal.SIGINT)
    assert "front" in out
    kept = whole_trials()
    assert STOCK + 5 <= len(kept) < STOCK + 200
    assert (folder / "reports" / "demo.html").stat().st_size > 0


def test_interrupted_before_the_first_trial_it_ends_in_one_line(folder):
    fork = forks().start(*search(folder, 5), cwd=folder)
    # The first line comes before anything slow is done.
    until(lambda: fork.err.read_text().startswith("study demo"))
    os.kill(fork.pid, signal.SIGINT)
    assert forks().wait(fork) == 128 + signal.SIGINT
    assert fork.out.read_text() == ""
    err = fork.err.read_text()
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "error: interrupted"


def test_a_full_disk_ends_it_in_one_line_and_keeps_what_was_stored(folder):
    searched(folder, trials=2)
    kept = whole_trials()
    room = (folder / "studies.db").stat().st_size + 30_000
    err = fail(search(folder, 200), folder, room)
    (error,) = (line for line in err.splitlines() if line.startswith("error:"))
    assert error.startswith("error: the study database failed: ")
    assert "finished trials are kept" in error
    after = whole_trials()
    assert after[: len(kept)] == kept
    assert len(after) > len(kept)
    # With room again the same command goes on.
    total = len(after) - STOCK + 1
    assert searched(folder, trials=total).resumed
    assert len(set(whole_trials())) == total + STOCK


def test_no_room_for_a_database_at_all(folder):
    err = fail(search(folder, 5), folder, 20_000)
    assert err.splitlines()[-1].startswith("error: the study database failed: ")

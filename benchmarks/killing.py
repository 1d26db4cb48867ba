"""Kill a search again and again; count trials that are lost or counted twice."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rich.table import Table

from benchmarks.table import table
from gnv2_nas.search.storage.studies import open_study

TRIALS = 200
KILLS = 30
SEED = 0
MAX_SECONDS_AFTER = 0.3
"""Latest moment of a kill after the trial that it waits for."""
ROOM = 10
"""No kill waits for the last trials, so that it finds the search running."""
SETTINGS = (
    "search", "--space", "tiny", "--quality", "params", "--objectives", "quality,macs",
    "--ablations", "0", "--study", "killed", "--timeout", "1h",
)  # fmt: skip

Digests = Mapping[int, str]
"""Number of a finished trial → digest of its rows."""


class Search(Protocol):
    """A running search."""

    def begun(self) -> bool:
        """Whether it has printed something, or has ended."""

    def ended(self) -> bool: ...

    def kill(self) -> None:
        """Send SIGKILL if it is running, and wait for the end."""

    def wait(self) -> None:
        """Wait for the end of a successful search."""


Start = Callable[[Sequence[str], Path], Search]
Strike = Callable[[Search], None]
"""Kills a process of a search, or of what it works with."""


@dataclass(frozen=True)
class Outcome:
    """Results after all kills."""

    kills: int
    """Kills while the search was running."""
    lost: int
    """Finished trials that were missing or different later."""
    twice: int
    integrity: str
    """Answer of SQLite's integrity check."""
    trials: int
    """Networks that `--trials` counts."""
    wanted: int


def run() -> Table:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        outcome = killed(Path(folder), started, TRIALS, KILLS, random.Random(SEED))
        seconds = time.perf_counter() - start
    title = f"A search of {outcome.wanted} trials, {outcome.kills} times SIGKILL, {seconds:.0f} s"
    return table(title, ("", "found"), found(outcome))


def found(outcome: Outcome) -> list[tuple[str, str]]:
    """Rows of the table."""
    return [
        ("finished trials lost", str(outcome.lost)),
        ("networks stored twice", str(outcome.twice)),
        ("PRAGMA integrity_check", outcome.integrity),
        ("trials in the end", str(outcome.trials)),
    ]


def kill(search: Search) -> None:
    search.kill()


def killed(
    folder: Path,
    start: Start,
    trials: int,
    kills: int,
    rng: random.Random,
    strikes: Sequence[Strike] = (kill,),
) -> Outcome:
    """Run a search with kills at random moments, then to the end. It is started when it is dead.

    A kill waits for a random number of trials and a little longer. So kills are spread over the
    whole search, and hit it while it opens the study, proposes, scores or stores.
    """
    search = (*SETTINGS, "--trials", str(trials))
    seen: dict[int, str] = {}
    lost: set[int] = set()
    done = 0
    running: Search | None = None
    for wanted in sorted(rng.randrange(trials - ROOM) for _ in range(kills)):
        if running is None or running.ended():
            running = start(search, folder)
        while not running.ended() and not (running.begun() and _count(folder) >= wanted):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, MAX_SECONDS_AFTER))
        before = digests(folder)
        done += not running.ended()
        rng.choice(strikes)(running)
        lost |= _missing(seen | before, digests(folder))
        seen |= before
    if running is None or running.ended():
        running = start(search, folder)
    running.wait()
    lost |= _missing(seen, digests(folder))
    candidates = open_study(f"sqlite:///{folder}/studies.db", "killed").trials()
    ((integrity,),) = _rows(folder, "PRAGMA integrity_check")
    ((twice,),) = _rows(folder, REPEATED)
    searched = sum(not each.baseline for each in candidates)
    return Outcome(done, len(lost), twice, integrity, searched, trials)


def _missing(before: Digests, after: Digests) -> set[int]:
    return {number for number, digest in before.items() if after.get(number) != digest}


def _connected(folder: Path) -> sqlite3.Connection:
    # Not read-only: SQLite must undo what a killed process left half written.
    return sqlite3.connect(f"file:{folder}/studies.db?mode=rw", uri=True)


def _rows(folder: Path, question: str) -> list[tuple[Any, ...]]:
    """Rows of the database as another program reads them; [] while there is none."""
    try:
        with closing(_connected(folder)) as database:
            return database.execute(question).fetchall()
    except sqlite3.OperationalError as error:
        if not any(words in str(error) for words in NOT_THERE_YET):
            raise
        return []


def _count(folder: Path) -> int:
    return sum(number for (number,) in _rows(folder, "SELECT count(*) FROM trials"))


def digests(folder: Path) -> Digests:
    """Digests of all stored trials."""
    rows: dict[int, list[object]] = {}
    for number, *row in _rows(folder, ROWS):
        rows.setdefault(number, []).append(row)
    return {
        number: hashlib.sha256(json.dumps(found, default=str).encode()).hexdigest()
        for number, found in rows.items()
    }


NOT_THERE_YET = ("unable to open", "no such table")
# Of the database itself: `Store` leaves out repeated networks.
REPEATED = """
SELECT count(*) - count(DISTINCT value_json) FROM trial_user_attributes WHERE key = 'architecture'
"""
ROWS = """
SELECT number, state, datetime_complete, 'param' AS part, param_name AS name, param_value AS value
  FROM trials LEFT JOIN trial_params USING (trial_id)
UNION ALL SELECT number, state, datetime_complete, 'value', objective, value
  FROM trials JOIN trial_values USING (trial_id)
UNION ALL SELECT number, state, datetime_complete, 'attribute', key, value_json
  FROM trials JOIN trial_user_attributes USING (trial_id)
ORDER BY number, part, name
"""


class Process:
    """A run of the installed command."""

    def __init__(self, arguments: Sequence[str], folder: Path) -> None:
        command = Path(sys.executable).with_name("gnv2-nas")
        self._messages = folder / "messages.txt"
        with self._messages.open("w") as messages:
            self._process = subprocess.Popen(
                [command, *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=messages
            )

    def begun(self) -> bool:
        return self.ended() or self._messages.stat().st_size > 0

    def ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def wait(self) -> None:
        if self._process.wait() != 0:
            raise RuntimeError(self._messages.read_text())


def started(arguments: Sequence[str], folder: Path) -> Search:
    return Process(arguments, folder)

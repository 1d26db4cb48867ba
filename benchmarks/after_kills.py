"""Check that `report`, `search` and `export` work after searches were killed at any moment.

`python -m benchmarks.after_kills 20` kills 20 searches, `python -m benchmarks after_kills` 200.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.killing import SETTINGS, digests
from benchmarks.table import table

KILLS = 200
KILLS_PER_DATABASE = 8
"""The first is sent while the tables are made, the others while trials are stored."""
MAX_SECONDS_TO_MAKE = 0.3
"""Latest moment of the first signal after the file appears."""
TRIALS_A_RUN = 12
MAX_SECONDS_AFTER = 0.2
"""Latest moment of a signal after the trial that it waits for."""
PATIENCE = 120.0
"""Time limit of a command in seconds."""
SEED = 0
STUDY = "killed"


@dataclass
class Outcome:
    """Results of all signals."""

    sigkill: int = 0
    sigterm: int = 0
    """Signals that reached a running search."""
    before_a_trial: int = 0
    """Signals after which the database held no trial yet."""
    journals: int = 0
    """Signals that left a journal that is not empty."""
    databases: int = 0
    answered: dict[str, list[bool]] = field(default_factory=dict)
    """Command → whether it succeeded, for each database with a study."""
    lost: int = 0
    """Finished trials that were missing or different later."""
    problems: list[str] = field(default_factory=list)


def run(kills: int = KILLS) -> Table:
    start, rng, outcome = time.perf_counter(), random.Random(SEED), Outcome()
    while outcome.sigkill + outcome.sigterm < kills:
        left = kills - outcome.sigkill - outcome.sigterm
        with tempfile.TemporaryDirectory() as folder:
            _one_database(Path(folder), min(left, KILLS_PER_DATABASE), rng, outcome)
        print(outcome, file=sys.stderr, flush=True)
    title = (
        f"{outcome.sigkill} times SIGKILL and {outcome.sigterm} times SIGTERM on "
        f"{outcome.databases} databases, then each command once on each of them, "
        f"{time.perf_counter() - start:.0f} s"
    )
    rows = [
        ("signals before the first trial was stored", str(outcome.before_a_trial)),
        ("signals that left a journal", str(outcome.journals)),
        *(
            (f"{verb} answered", f"{sum(each)} of {len(each)}")
            for verb, each in outcome.answered.items()
        ),
        ("finished trials lost", str(outcome.lost)),
        *(("problem", problem) for problem in outcome.problems),
    ]
    return table(title, ("", "found"), rows)


def _one_database(folder: Path, kills: int, rng: random.Random, outcome: Outcome) -> None:
    outcome.databases += 1
    seen: dict[int, str] = {}
    for number in range(kills):
        signum = rng.choice((signal.SIGKILL, signal.SIGTERM))
        wanted = len(seen) + rng.randrange(TRIALS_A_RUN)
        found = _kill_search(signum, folder, rng, wanted if number else None)
        outcome.sigkill += found and signum == signal.SIGKILL
        outcome.sigterm += found and signum == signal.SIGTERM
        journal = folder / "studies.db-journal"
        outcome.journals += journal.exists() and journal.stat().st_size > 0
        outcome.lost += _lost(seen, folder)
        outcome.before_a_trial += not seen
    commands = {
        "report": ("report", STUDY),
        "search": (*SETTINGS, "--trials", str(len(seen) + TRIALS_A_RUN + 2)),
        "export": ("export", f"{STUDY}:0", "--format", "onnx", "--output", "model.onnx"),
    }
    for verb, arguments in commands.items():
        if verb == "report" and not seen:
            # There may be no study yet; the search makes it.
            continue
        ended = subprocess.run(
            [_program(), *arguments], cwd=folder, capture_output=True, text=True, timeout=PATIENCE
        )
        outcome.answered.setdefault(verb, []).append(ended.returncode == 0)
        if ended.returncode != 0:
            outcome.problems.append(f"{verb}: {ended.stderr.strip().splitlines()[-1:]}")
        outcome.lost += _lost(seen, folder)


def _kill_search(
    signum: signal.Signals, folder: Path, rng: random.Random, wanted: int | None
) -> bool:
    """Kill a search at a number of trials, or while tables are made; whether it was running."""
    arguments = (*SETTINGS, "--trials", "10000")
    with (folder / "messages.txt").open("w") as messages:
        search = subprocess.Popen(
            [_program(), *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=messages
        )
    if wanted is None:
        while not (folder / "studies.db").exists() and search.poll() is None:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, MAX_SECONDS_TO_MAKE))
    else:
        # Reading earlier would repair the file before the search does.
        opened = "smallest:"
        while search.poll() is None and opened not in (folder / "messages.txt").read_text():
            time.sleep(0.02)
        while search.poll() is None and len(digests(folder)) <= wanted:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, MAX_SECONDS_AFTER))
    running = search.poll() is None
    search.send_signal(signum)
    search.wait(PATIENCE)
    return running


def _lost(seen: dict[int, str], folder: Path) -> int:
    """Number of trials in `seen` that are lost; adds those that are stored now."""
    with tempfile.TemporaryDirectory() as copy:
        # Reading the file itself would repair it before the next command does.
        for file in folder.glob("studies.db*"):
            shutil.copy(file, copy)
        now = digests(Path(copy))
    missing = sum(now.get(number) != digest for number, digest in seen.items())
    seen.update(now)
    return missing


def _program() -> Path:
    return Path(sys.executable).with_name("gnv2-nas")


if __name__ == "__main__":
    Console().print(run(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS))

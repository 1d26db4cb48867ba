"""Do `report`, `search` and `export` answer on databases whose searches were ended at any moment?

`python -m benchmarks.after_kills 20` ends twenty searches; `python -m benchmarks after_kills`
two hundred.
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
"""The first comes while the tables are made, the others while networks are stored."""
MAKING_SECONDS = 0.3
"""After the file appears; to make the tables and the study takes about as long."""
TRIALS_A_RUN = 12
LATEST_AFTER = 0.2
"""Seconds between the trial that a signal waits for and the signal, at most."""
PATIENCE = 120.0
"""Seconds; only a broken command takes so long."""
SEED = 0
STUDY = "killed"


@dataclass
class Outcome:
    """What was seen."""

    sigkill: int = 0
    sigterm: int = 0
    """Signals that found a search running."""
    before_a_trial: int = 0
    """Signals after which the database held no trial yet."""
    journals: int = 0
    """Signals that left a journal with something in it."""
    databases: int = 0
    answered: dict[str, list[bool]] = field(default_factory=dict)
    """Command → for each database with a study, whether it did its work."""
    lost: int = 0
    """Trials that were seen finished, and were not there later or not the same."""
    problems: list[str] = field(default_factory=list)


def run(kills: int = KILLS) -> Table:
    start, rng, outcome = time.perf_counter(), random.Random(SEED), Outcome()
    while outcome.sigkill + outcome.sigterm < kills:
        left = kills - outcome.sigkill - outcome.sigterm
        with tempfile.TemporaryDirectory() as folder:
            _one_database(Path(folder), min(left, KILLS_PER_DATABASE), rng, outcome)
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
        found = _ended_by(signum, folder, rng, wanted if number else None)
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
            # A study may not have been begun: then the search is the first to come.
            continue
        ended = subprocess.run(
            [_program(), *arguments], cwd=folder, capture_output=True, text=True, timeout=PATIENCE
        )
        outcome.answered.setdefault(verb, []).append(ended.returncode == 0)
        if ended.returncode != 0:
            outcome.problems.append(f"{verb}: {ended.stderr.strip().splitlines()[-1:]}")
        outcome.lost += _lost(seen, folder)


def _ended_by(signum: signal.Signals, folder: Path, rng: random.Random, wanted: int | None) -> bool:
    """Search until a number of trials is there, or while tables are made; whether it ran still."""
    arguments = (*SETTINGS, "--trials", "10000")
    with (folder / "messages.txt").open("w") as messages:
        search = subprocess.Popen(
            [_program(), *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=messages
        )
    if wanted is None:
        while not (folder / "studies.db").exists() and search.poll() is None:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, MAKING_SECONDS))
    else:
        # To look before the search has opened the file would put it right for the search.
        opened = "smallest:"
        while search.poll() is None and opened not in (folder / "messages.txt").read_text():
            time.sleep(0.02)
        while search.poll() is None and len(digests(folder)) <= wanted:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, LATEST_AFTER))
    running = search.poll() is None
    search.send_signal(signum)
    search.wait(PATIENCE)
    return running


def _lost(seen: dict[int, str], folder: Path) -> int:
    """How many of the trials that were there are not any more; those that are there are added."""
    with tempfile.TemporaryDirectory() as copy:
        # A look at the file itself would put right what the next command shall.
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

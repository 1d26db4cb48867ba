"""Does a search end when it was told to? `python -m benchmarks.timeouts --limits 25s --busy 0 2`.

Each search is a fresh process, timed from outside, on an idle machine and with processes beside
it that only compute; without an earlier calibration of the device and with one.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.load import computing
from benchmarks.table import machine, table
from gnv2_nas.search.storage.studies import open_study
from gnv2_nas.search.study.records import Trial
from gnv2_nas.units import parse_duration

LIMITS = ("25s", "60s", "2m")
BUSY = (0, 1, 2)
"""Processes that compute beside the search."""
SHARE = 0.1
"""Of the limit: by so much, or by one network, may a search exceed it."""
CALIBRATING = "3m"
"""Enough for a calibration that is kept."""


def run(limits: Sequence[str] = LIMITS, busy: Sequence[int] = BUSY) -> Table:
    rows = []
    with tempfile.TemporaryDirectory() as calibrated:
        _search(Path(calibrated), CALIBRATING, "--trials", "1", "--ablations", "0")
        for count in busy:
            for limit in limits:
                with tempfile.TemporaryDirectory() as fresh:
                    for kind, folder in (("fresh", fresh), ("kept", calibrated)):
                        rows.append(_row(Path(folder), kind, limit, count))
    columns = (
        "calibration", "busy beside", "asked", "taken", "excess", "one network", "networks",
        "confirmed", "kept",
    )  # fmt: skip
    title = f"Searches with a time limit; promised: {SHARE:.0%} beyond it or one network, at most"
    return table(title, columns, rows)


def _row(folder: Path, kind: str, limit: str, count: int) -> tuple[str, ...]:
    asked, study = parse_duration(limit), f"limit-{limit}-{count}"
    with computing(count):
        taken = _search(folder, limit, "--trials", "100000", "--study", study)
    record = open_study(f"sqlite:///{folder}/studies.db", study).record()
    one, searched = _one_network(folder, study), sum(map(_searched, record.trials))
    promise = asked + max(SHARE * asked, one)
    return (
        kind, str(count), f"{asked:.0f} s", f"{taken:.1f} s", f"{taken / asked - 1:+.1%}",
        f"{one:.1f} s", str(searched), str(len(record.confirmed)),
        "yes" if taken <= promise else "NO",
    )  # fmt: skip


def _search(folder: Path, limit: str, *options: str) -> float:
    """Seconds that a search takes, as its user sees it."""
    command = Path(sys.executable).with_name("gnv2-nas")
    start = time.perf_counter()
    subprocess.run(
        [command, "search", "--timeout", limit, *options],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - start


def _one_network(folder: Path, study: str) -> float:
    """Seconds from proposing a network of the search to having it measured, in its batch."""
    store = open_study(f"sqlite:///{folder}/studies.db", study)
    trials = {trial.number: trial for trial in store.frozen_trials()}
    searched = [trials[each.number] for each in store.trials() if _searched(each)]
    begun = [trial.datetime_start for trial in searched if trial.datetime_start]
    ended = [trial.datetime_complete for trial in searched if trial.datetime_complete]
    return (max(ended) - min(begun)).total_seconds() / len(searched) if begun and ended else 0.0


def _searched(candidate: Trial) -> bool:
    return candidate.searched


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.timeouts")
    options.add_argument("--limits", nargs="+", default=LIMITS)
    options.add_argument("--busy", nargs="+", type=int, default=BUSY)
    asked = options.parse_args()
    console = Console(highlight=False)
    console.print(machine(), markup=False)
    console.print(run(asked.limits, asked.busy))

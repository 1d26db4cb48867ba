"""Where a search spends its time: `python -m benchmarks.time_breakdown --trials 60` (or 200)."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.stopwatch import Stopwatch
from benchmarks.table import machine, table
from gnv2_nas.devices.host import LocalBench
from gnv2_nas.measurement import batch, plan
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.report.study_page.write import write_report
from gnv2_nas.runner import huge_pages
from gnv2_nas.search import lane, loop
from gnv2_nas.search.confirmation import confirm_and_ablate
from gnv2_nas.search.evaluate import Evaluator
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.storage.store import Store
from gnv2_nas.workflows.search.request import CheckedSearch, SearchRequest
from gnv2_nas.workflows.search.session import SearchSession

TRIALS = 200
HOURS = 4 * 3600.0
OPENING = "loading sessions"
PARTS: dict[str, tuple[Any, str]] = {
    "scoring": (Evaluator, "scores"),
    "timing, with loading": (plan, "collect"),
    OPENING: (LocalBench, "_take"),
    "writing files": (batch.Batch, "write"),
    "checking files": (batch.Batch, "load"),
    "proposing": (Proposals, "ask"),
    "telling the sampler": (Proposals, "tell"),
    "choosing networks to measure again": (loop, "select_for_remeasurement"),
    "storing": (Store, "append"),
    "reading the study": (Store, "new_trials"),
    "keeping raw samples": (lane, "append_measurements"),
}


def run(trials: int = TRIALS) -> Table:
    spent, total = _searched(trials)
    inference = spent.pop("timing, with loading") - spent[OPENING]
    spent = {"inference": inference, **spent}
    spent["other"] = total - sum(spent.values())
    rows = [(name, f"{seconds:.1f} s", f"{seconds / total:.1%}") for name, seconds in spent.items()]
    wanted = spent["inference"] + spent["scoring"]
    rows.append(("inference and scoring", f"{wanted:.1f} s", f"{wanted / total:.1%}"))
    title = f"A search of {trials} trials with its report, {total:.0f} s; promised: 70 % and more"
    return table(title, ("", "wall time", "share"), rows)


def _searched(trials: int) -> tuple[dict[str, float], float]:
    """Seconds in each part, and in all, of a search with the default settings."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return _timed(SearchRequest(trials=trials, timeout=HOURS).check())
        finally:
            os.chdir(before)


def _timed(checked: CheckedSearch) -> tuple[dict[str, float], float]:
    session = SearchSession(checked)
    ensure_calibrated(session.lanes[0].device)  # once for a machine, so not of a search
    start = time.perf_counter()
    with Stopwatch(PARTS) as spent:
        searching = session.loop()
        searching.run()
        confirm_and_ablate(searching, checked.request.ablations)
        write_report(session.store.record(), checked.request.reports)
    return spent, time.perf_counter() - start


if __name__ == "__main__":
    huge_pages.restart()  # as the command line does
    options = argparse.ArgumentParser(prog="python -m benchmarks.time_breakdown")
    options.add_argument("--trials", type=int, default=TRIALS)
    console = Console(highlight=False)
    console.print(machine(), markup=False)
    console.print(run(options.parse_args().trials))

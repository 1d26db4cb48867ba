"""Where the time of an evaluated trial goes, in a real search with the default settings."""

from __future__ import annotations

import os
import resource
import tempfile
import time

from rich.table import Table

from benchmarks.stopwatch import Stopwatch
from benchmarks.table import milliseconds, table
from gnv2_nas.quality.proxies.zen import ZenScore
from gnv2_nas.runner.onnx_session import OnnxSession
from gnv2_nas.runtimes.onnx_runtime import OnnxRuntime
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.storage.store import Store
from gnv2_nas.workflows.search.request import SearchRequest
from gnv2_nas.workflows.search.session import SearchSession

TRIALS = 24
PARTS: dict[str, tuple[type, str]] = {
    "sampling and rejecting": (SearchLoop, "_propose"),
    "writing the ONNX file": (OnnxRuntime, "write"),
    "loading it into the runtime": (OnnxRuntime, "load"),
    "inferences": (OnnxSession, "run"),
    "scoring (Zen-score)": (ZenScore, "score"),
    "storing": (Store, "append"),
    "telling the sampler": (Proposals, "tell"),
}
"""Methods that do not call each other."""


def run() -> Table:
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()  # noqa: PTH109
        os.chdir(folder)
        try:
            return _run()
        finally:
            os.chdir(before)


def _run() -> Table:
    checked = SearchRequest(budgets=("300MFLOPs",), trials=TRIALS, timeout=3600).check()
    session = SearchSession(checked)
    loop = session.loop()
    loop._evaluate_baselines()
    with Stopwatch(PARTS) as spent:
        start = time.perf_counter()
        loop.run()
        total = (time.perf_counter() - start) / TRIALS
    parts = {name: seconds / TRIALS for name, seconds in spent.items()}
    parts["all else (statistics, records, journal)"] = total - sum(parts.values())
    work = parts["inferences"] + parts["scoring (Zen-score)"]
    rows = [(name, milliseconds(value), f"{value / total:.1%}") for name, value in parts.items()]
    rows += [
        ("total", milliseconds(total), "100 %"),
        ("all but inferences and scoring (promised: 250 ms)", milliseconds(total - work), ""),
        ("peak memory (promised: 1.5 GiB)", f"{_peak_gib():.2f} GiB", ""),
    ]
    return table(f"One evaluated trial, mean of {TRIALS}", ("", "time", "share"), rows)


def _peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

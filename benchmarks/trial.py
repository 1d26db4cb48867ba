"""Where the time of an evaluated trial goes, in a real search with the default settings."""

from __future__ import annotations

import cProfile
import os
import pstats
import resource
import tempfile
import time
from collections.abc import Callable

from rich.table import Table

from benchmarks.table import milliseconds, table
from gnv2_nas.profiling.onnx_runtime import OnnxRuntime, OnnxSession
from gnv2_nas.quality.zen import ZenScore
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.request import SearchRequest, check_request
from gnv2_nas.search.session import SearchSession
from gnv2_nas.search.store import Store

TRIALS = 24


def run() -> Table:
    with tempfile.TemporaryDirectory() as folder:
        before = os.getcwd()  # noqa: PTH109
        os.chdir(folder)
        try:
            return _run()
        finally:
            os.chdir(before)


def _run() -> Table:
    checked = check_request(SearchRequest(budgets=("300MFLOPs",), trials=TRIALS, timeout=3600))
    session = SearchSession(checked)
    loop = session.loop()
    loop._evaluate_baselines()
    profiler = cProfile.Profile()
    start = time.perf_counter()
    profiler.runcall(loop.run)
    total = (time.perf_counter() - start) / TRIALS
    spent = pstats.Stats(profiler)
    parts = {
        "sampling and rejecting": _seconds(spent, SearchLoop._propose),
        "writing the ONNX file": _seconds(spent, OnnxRuntime.write),
        "loading it into the runtime": _seconds(spent, OnnxRuntime.load),
        "inferences": _seconds(spent, OnnxSession.run),
        "scoring (Zen-score)": _seconds(spent, ZenScore.score),
        "storing": _seconds(spent, Store.append),
        "telling the sampler": _seconds(spent, Proposals.tell),
    }
    parts = {name: seconds / TRIALS for name, seconds in parts.items()}
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


def _seconds(stats: pstats.Stats, function: Callable[..., object]) -> float:
    """Cumulative seconds of a function, callees included."""
    code = function.__code__  # type: ignore[attr-defined]
    key = (code.co_filename, code.co_firstlineno, code.co_name)
    entry = stats.stats.get(key)  # type: ignore[attr-defined]
    return float(entry[3]) if entry else 0.0

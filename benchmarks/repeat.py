"""How well a measurement repeats: the same networks twice, in separate processes."""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time

from rich.table import Table

from benchmarks.table import table
from gnv2_nas.profiling import measure
from gnv2_nas.report.kendall import kendall_tau
from gnv2_nas.space import load_space

NETWORKS = 12
Run = dict[str, list[float]]


def run() -> Table:
    start = time.perf_counter()
    first, second = _in_own_process(), _in_own_process()
    seconds = (time.perf_counter() - start) / (2 * NETWORKS)
    rows = [
        ("ratio to the reference, shared rounds, CPU time", *_agreement(first, second, "ratio")),
        ("median wall time of the same calls", *_agreement(first, second, "raw_ms")),
    ]
    title = f"{NETWORKS} random networks of ghostnetv2 measured twice, {seconds:.1f} s for each"
    return table(title, ("estimate", "median difference", "largest", "Kendall τ"), rows)


def _in_own_process() -> Run:
    command = [sys.executable, "-m", "benchmarks.repeat"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: Run = json.loads(output)
    return result


def _agreement(first: Run, second: Run, key: str) -> tuple[str, str, str]:
    pairs = list(zip(first[key], second[key], strict=True))
    differences = [abs(b / a - 1) for a, b in pairs]
    tau = kendall_tau(first[key], second[key])
    return f"{statistics.median(differences):.2%}", f"{max(differences):.2%}", f"{tau:.3f}"


def _measure_once() -> None:
    space, rng = load_space("ghostnetv2"), random.Random(0)
    measurements = measure([space.sample(rng) for _ in range(NETWORKS)])
    keys = ("ratio", "raw_ms")
    json.dump({key: [getattr(m, key) for m in measurements] for key in keys}, sys.stdout)


if __name__ == "__main__":
    _measure_once()

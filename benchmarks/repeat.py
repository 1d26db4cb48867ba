"""How well a measurement repeats: the same networks twice, in separate processes, idle and busy.

Beside it what is usually done: each network by itself, its median or minimum, or torch's
`blocked_autorange`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from rich.table import Table

from benchmarks.load import computing
from benchmarks.table import table
from gnv2_nas.arch import Architecture
from gnv2_nas.devices import Device
from gnv2_nas.measurement import measure, open_device
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.runner import huge_pages
from gnv2_nas.space import load_space
from gnv2_nas.stats.rank_agreement import kendall_tau

NETWORKS = 30
SECONDS = 1.25
"""For each network; writing, checking and the panel's share come on top, see the title."""
ALONE_SECONDS = 0.5
PRECISION = 0.001
"""Never reached: the whole time is used."""
ESTIMATES = {
    "ratio": "ours: shared rounds, sessions, panel",
    "median": "median wall time, one network after the other",
    "autorange": "torch.utils.benchmark blocked_autorange, median",
    "minimum": "minimum wall time, one network after the other",
}
Run = dict[str, list[float]]


def run(device: str = "cpu") -> Table:
    rows: list[tuple[str, ...]] = []
    seconds = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        ensure_calibrated(open_device(device))
        for name, processes in (("idle", 0), ("busy", os.cpu_count() or 1)):
            with computing(processes):
                first, second = (_in_own_process(device) for _ in range(2))
            seconds += first["seconds"] + second["seconds"]
            rows += [
                (name, text, *_agreement(first, second, key)) for key, text in ESTIMATES.items()
            ]
    title = (
        f"{NETWORKS} random networks of ghostnetv2 measured twice on {device}, "
        f"{statistics.mean(seconds):.2f} s for each of ours, all included"
    )
    return table(title, ("", "estimate", "median difference", "largest", "Kendall τ"), rows)


def _in_own_process(device: str) -> Run:
    command = [sys.executable, "-m", "benchmarks.repeat", device]
    environment = {**huge_pages.environment(), "PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
    result: Run = json.loads(output)
    return result


def _agreement(first: Run, second: Run, key: str) -> tuple[str, str, str]:
    pairs = list(zip(first[key], second[key], strict=True))
    differences = [abs(b / a - 1) for a, b in pairs]
    tau = kendall_tau(first[key], second[key])
    return f"{statistics.median(differences):.2%}", f"{max(differences):.2%}", f"{tau:.3f}"


def _measure_once(name: str) -> None:
    space, rng = load_space("ghostnetv2"), random.Random(0)
    networks = [space.sample(rng) for _ in range(NETWORKS)]
    device = open_device(name)
    device.expected_logits(networks[0])  # imports torch
    start = time.perf_counter()
    found = measure(networks, device, precision=PRECISION, seconds_per_network=SECONDS)
    result: Run = {
        "ratio": [measurement.ratio for measurement in found],
        "seconds": [(time.perf_counter() - start) / NETWORKS],
        "median": [], "minimum": [], "autorange": [],
    }  # fmt: skip
    for arch in networks:
        for key, value in _alone(arch, device).items():
            result[key].append(value)
    json.dump(result, sys.stdout)


def _alone(arch: Architecture, device: Device) -> dict[str, float]:
    from torch.utils.benchmark import Timer

    session = device.runtime.load(device.runtime.write(arch), device.profile.threads)
    session.run()
    times = _calls(session.run)
    timer = Timer("run()", globals={"run": session.run})
    auto = timer.blocked_autorange(min_run_time=ALONE_SECONDS).median
    return {"median": statistics.median(times), "minimum": min(times), "autorange": auto}


def _calls(run: Callable[[], object]) -> list[float]:
    until, times = time.perf_counter() + ALONE_SECONDS, []
    while time.perf_counter() < until:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    _measure_once(sys.argv[1])

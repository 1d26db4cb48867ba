"""Where the time of a measurement of ten networks goes."""

from __future__ import annotations

import contextlib
import random
import tempfile
import time

from rich.table import Table

from benchmarks.stopwatch import Stopwatch
from benchmarks.table import milliseconds, table
from gnv2_nas.measurement import measure, open_device
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.runner.onnx_session import OnnxSession
from gnv2_nas.runtimes import parity
from gnv2_nas.runtimes.onnx_runtime import OnnxRuntime
from gnv2_nas.space import load_space

NETWORKS = 10
SECONDS = 1.15
PARTS = {
    "inferences": (OnnxSession, "run"),
    "writing": (OnnxRuntime, "write"),
    "loading": (OnnxRuntime, "load"),
    "what torch answers (parity)": (parity, "expected_logits"),
}


def run() -> Table:
    space, rng = load_space("ghostnetv2"), random.Random(0)
    networks = [space.sample(rng) for _ in range(NETWORKS)]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        device = open_device("cpu")
        ensure_calibrated(device)
        measure(networks[:1], device, seconds_per_network=0.1)  # the panel's files, torch
        with Stopwatch(PARTS) as spent:
            start = time.perf_counter()
            measure(networks, device, precision=0.001, seconds_per_network=SECONDS)
            total = time.perf_counter() - start
    parts = {**spent, "all else (statistics, timers)": total - sum(spent.values())}
    rows = [
        (name, milliseconds(seconds / NETWORKS), f"{seconds / total:.1%}")
        for name, seconds in parts.items()
    ]
    share = 1 - spent["inferences"] / total
    rows.append(("all but inferences (promised: at most 30 %)", "", f"{share:.1%}"))
    title = f"Measuring {NETWORKS} random networks, {total / NETWORKS:.2f} s for each"
    return table(title, ("", "a network", "share"), rows)

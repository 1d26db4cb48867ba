"""How far apart sessions of one network are, with small pages and with huge ones."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import numpy as np
from rich.table import Table

from benchmarks.paired import Loaders
from benchmarks.table import table
from gnv2_nas.arch import preset
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.measurement.plan import MeasurementPlan, collect
from gnv2_nas.measurement.statistics import adjust_logs
from gnv2_nas.runtimes.onnx_runtime import OnnxRuntime

NETWORKS = (REFERENCE, "ghostnet-1.0", "mobilenetv3-large-1.0")
SESSIONS = 11
PLAN = MeasurementPlan(sessions=1, rounds=1000, max_sessions=1, max_seconds=30)


def run() -> Table:
    rows = []
    for name, tunable in (("pages of 4 KiB", "0"), ("huge pages", "1")):
        environment = dict(os.environ) | {"GLIBC_TUNABLES": f"glibc.malloc.hugetlb={tunable}"}
        command = [sys.executable, "-m", "benchmarks.sessions"]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout
        found = json.loads(output)
        spreads = [f"{found[network]['spread']:.2%}" for network in NETWORKS]
        rows.append((name, *spreads, f"{found['noise']:.2%}", f"{found[NETWORKS[0]]['ms']:.2f}"))
    title = f"Standard deviation between {SESSIONS} sessions of a network, all alive in one process"
    return table(title, ("", *NETWORKS, "noise of rounds", "V2 1.0, ms"), rows)


def _measure() -> None:
    runtime = OnnxRuntime()
    files = [runtime.write(preset(name)) for name in NETWORKS]
    runs = [runtime.load(file, 1).run for _ in range(SESSIONS) for file in files]
    timings = collect(Loaders(runs.__getitem__), len(runs), PLAN, random.Random(0), lambda _: False)
    logs = adjust_logs(timings)
    levels = np.median(logs, axis=1).reshape(SESSIONS, len(NETWORKS))
    halves = np.median(logs[:, ::2], axis=1) - np.median(logs[:, 1::2], axis=1)
    found: dict[str, object] = {"noise": float(halves.std()) / 2}
    for name, own in zip(NETWORKS, levels.T, strict=True):
        found[name] = {"spread": float(own.std(ddof=1)), "ms": float(np.exp(own.mean())) * 1e3}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    _measure()

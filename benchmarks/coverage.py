"""How often the 95 % interval of a ratio holds the truth, and how wide it is.

Networks of all sizes are measured in fresh processes, on several calibrations each made afresh,
on a machine that is idle, has one busy process, or one for each core. The truth of stock
GhostNetV2 1.0 against itself is 1, under whatever name; that of the others is the mean of all
processes under the same load.
"""

from __future__ import annotations

import math
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.table import Table

from benchmarks.load import computing
from benchmarks.table import table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.arch.presets import ghostnet, mobilenetv3_large
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.measurement import measure, open_device
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.runner import huge_pages

CALIBRATIONS = 3
PROCESSES = 3
"""For each calibration."""
SECONDS = 1.5
PRECISION = 0.001
"""Never reached: the whole time is used."""
SHORT_MS = 1.0
STOCK = "stock V2 1.0 against itself"


def networks() -> list[tuple[str, Architecture]]:
    """(row of the table, network); none but stock is of the panel. The same network three times is
    timed as three."""
    stock = preset(REFERENCE)
    return [
        (STOCK, stock),
        (STOCK, stock),
        (STOCK, stock),
        ("about 0.15 ms", mobilenetv3_large(0.35).replace(resolution=32, num_classes=10)),
        ("about 0.15 ms", ghostnet(0.25, dfc=False).replace(resolution=40, num_classes=10)),
        ("about 0.5 ms", ghostnet(0.5, dfc=True).replace(resolution=72, num_classes=20)),
        ("about 0.5 ms", mobilenetv3_large(0.5).replace(resolution=80, num_classes=10)),
        ("about 1.5 ms", ghostnet(0.75, dfc=True).replace(resolution=96)),
        ("about 1.5 ms", mobilenetv3_large(0.75).replace(resolution=112)),
        ("about 5 ms", preset("ghostnet-1.0").replace(resolution=208)),
        ("about 5 ms", ghostnet(0.9, dfc=True).replace(resolution=192)),
        ("about 15 ms", preset("ghostnetv2-1.6")),
        ("about 15 ms", ghostnet(1.3, dfc=True).replace(resolution=256)),
    ]


def run() -> Table:
    rows: list[tuple[str, ...]] = []
    cores = os.cpu_count() or 1
    for load, busy in (("idle", 0), ("one busy process", 1), ("one on each core", cores)):
        found = _measured_under(busy)
        rows += [(load, *cells) for cells in _rows(found)]
    title = (
        f"95 % intervals of the ratio to stock V2 1.0 that hold the truth: {CALIBRATIONS} "
        f"calibrations, {PROCESSES} processes on each, {SECONDS} s a network"
    )
    return table(title, ("", "networks", "ms", "hold", "share", "median half-width"), rows)


def _measured_under(busy: int) -> list[list[Measurement]]:
    """One list for each process."""
    found = []
    with computing(busy):
        for _ in range(CALIBRATIONS):
            with tempfile.TemporaryDirectory() as folder:
                _in_own_process(folder, calibrate=True)
                found += [_in_own_process(folder, calibrate=False) for _ in range(PROCESSES)]
    return found


def _in_own_process(folder: str, *, calibrate: bool) -> list[Measurement]:
    what = "calibrate" if calibrate else "measure"
    command = [sys.executable, "-m", "benchmarks.coverage", what]
    environment = {**huge_pages.environment(), "PYTHONPATH": str(Path(__file__).parents[1])}
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, env=environment, cwd=folder
    ).stdout
    return msgspec.json.decode(output, type=list[Measurement])


def _measure_here(what: str) -> None:
    device = open_device("cpu")
    if what == "calibrate":
        ensure_calibrated(device)
        found = []
    else:
        found = measure(
            [arch for _, arch in networks()],
            device,
            precision=PRECISION,
            seconds_per_network=SECONDS,
            seed=secrets.randbelow(2**32),
        )
    sys.stdout.buffer.write(msgspec.json.encode([each.drop_samples() for each in found]))


def _rows(processes: list[list[Measurement]]) -> list[tuple[str, ...]]:
    by_row: dict[str, list[tuple[float, Measurement]]] = {}
    for number, (row, _) in enumerate(networks()):
        mine = [process[number] for process in processes]
        mean = statistics.mean(math.log(each.ratio) for each in mine)
        truth = 0.0 if row == STOCK else mean
        by_row.setdefault(row, []).extend((truth, each) for each in mine)
    above = [pair for pairs in by_row.values() for pair in pairs if pair[1].ms > SHORT_MS]
    by_row[f"all above {SHORT_MS:g} ms"] = above
    return [_row(name, *zip(*pairs, strict=True)) for name, pairs in by_row.items()]


def _row(name: str, truths: Sequence[float], found: Sequence[Measurement]) -> tuple[str, ...]:
    intervals = [tuple(map(math.log, each.ratio_ci95)) for each in found]
    held = [low <= truth <= high for truth, (low, high) in zip(truths, intervals, strict=True)]
    half = statistics.median((high - low) / 2 for low, high in intervals)
    return (
        name,
        f"{statistics.median(each.ms for each in found):.2f}",
        f"{sum(held)} of {len(held)}",
        f"{sum(held) / len(held):.0%}",
        f"{half:.1%}",
    )


if __name__ == "__main__":
    _measure_here(sys.argv[1])

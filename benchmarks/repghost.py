"""Are RepGhost modules faster at equal multiply-adds? Shared rounds in each of three runtimes."""

from __future__ import annotations

import contextlib
import tempfile
from typing import NamedTuple

from rich.table import Table

from benchmarks.table import table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.arch.presets import scale_preset
from gnv2_nas.graph import count
from gnv2_nas.measurement import open_device
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.measurement.plan import COMPARING
from gnv2_nas.measurement.protocol import measure_networks
from gnv2_nas.measurement.records.record import compare
from gnv2_nas.search.analysis.scaling import WIDTHS

DEVICES = ("cpu", "cpu-litert", "cpu-ncnn")
STOCK = ("ghostnet-1.0", "ghostnetv2-1.0", "ghostnetv2-1.6")
REPGHOSTNET = "repghostnet-1.0"


class Pair(NamedTuple):
    """A stock network, and RepGhostNet in the width of as many multiply-adds."""

    name: str
    stock: Architecture
    width: float
    scaled: Architecture


def scale_to_macs(name: str) -> Pair:
    """RepGhostNet in the width whose multiply-adds are nearest to those of a stock network."""
    stock = preset(name)
    macs = count(stock).macs

    def off(hundredths: int) -> int:
        return abs(count(scale_preset(REPGHOSTNET, hundredths / 100)).macs - macs)

    width = min(WIDTHS, key=off) / 100
    return Pair(name, stock, width, scale_preset(REPGHOSTNET, width))


def run() -> Table:
    pairs = [scale_to_macs(name) for name in STOCK]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        rows = [row for device in DEVICES for row in _compare_on(device, pairs)]
    columns = ("runtime", "stock", "MFLOPs", "ms", "RepGhostNet", "MFLOPs", "ms", "ratio", "95 %")
    return table("RepGhostNet at equal multiply-adds, 224 pixels, one thread", columns, rows)


def _compare_on(name: str, pairs: list[Pair]) -> list[tuple[str, ...]]:
    device = open_device(name)
    ensure_calibrated(device)
    found = measure_networks(
        [arch for pair in pairs for arch in (pair.stock, pair.scaled)], device, COMPARING
    )
    rows: list[tuple[str, ...]] = []
    for pair, stock, scaled in zip(pairs, found[::2], found[1::2], strict=True):
        compared = compare(scaled, stock)
        low, high = compared.ci95
        rows.append(
            (
                device.profile.runtime, pair.name, _macs(pair.stock), f"{stock.ms:.2f}",
                f"{pair.width:.2f}", _macs(pair.scaled), f"{scaled.ms:.2f}",
                f"{compared.ratio:.3f}", f"{low:.3f}–{high:.3f}",
            )
        )  # fmt: skip
    return rows


def _macs(arch: Architecture) -> str:
    return f"{count(arch).macs / 1e6:.0f}"

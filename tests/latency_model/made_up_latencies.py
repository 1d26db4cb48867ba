"""Devices that exist on paper only: the time of a network is a sum over its operators, and a
measurement of it is off by known noise."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.devices import Fingerprint
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.graph import Op, lower, op_activation_bytes, op_macs
from gnv2_nas.measurement import Measurement
from gnv2_nas.space import load_space
from gnv2_nas.stats.intervals import Z95
from gnv2_nas.workflows.latency import draw_balanced

REFERENCE_MS = 8.0


@dataclass(frozen=True)
class PaperDevice:
    """Nanoseconds of an operator: the slower of computing and moving, and a start."""

    macs_per_ns: float = 25.0
    depthwise_macs_per_ns: float = 6.0
    bytes_per_ns: float = 12.0
    start_ns: float = 2000.0
    copies: float = 1.0
    """What channels that are no multiple of 16 cost, in bytes moved again."""

    def op_nanoseconds(self, op: Op) -> float:
        rate = self.depthwise_macs_per_ns if op.groups > 1 else self.macs_per_ns
        moved = op_activation_bytes(op) / self.bytes_per_ns
        copied = self.copies * moved if op.kind == "conv" and op.shape[0] % 16 else 0
        return max(op_macs(op) / rate, moved) + copied + self.start_ns

    def ratio(self, arch: Architecture) -> float:
        return _nanoseconds(self, arch) / _nanoseconds(self, preset(REFERENCE))

    def measure(
        self, architectures: Sequence[Architecture], noise: float = 0.01, seed: int = 0
    ) -> list[Measurement]:
        """Ratios with normal noise of that standard deviation in their logs."""
        rng = random.Random(seed)
        return [
            made_up(arch, self.ratio(arch) * math.exp(rng.gauss(0, noise)), noise)
            for arch in architectures
        ]


@cache
def _nanoseconds(device: PaperDevice, arch: Architecture) -> float:
    return sum(map(device.op_nanoseconds, lower(arch).ops))


def made_up(arch: Architecture, ratio: float, noise: float = 0.01) -> Measurement:
    """A measurement with an interval of 95 % for that noise."""
    factor = math.exp(Z95 * noise)
    interval = (ratio / factor, ratio * factor)
    return Measurement(
        architecture=arch.id, device="paper", runtime="onnxruntime", threads=1, precision="fp32",
        ms=ratio * REFERENCE_MS, ci95=(interval[0] * REFERENCE_MS, interval[1] * REFERENCE_MS),
        ratio=ratio, ratio_ci95=interval, stable=True, reason="", clock="cpu", raw_ms=ratio,
        rounds=50, taken_at="2026-01-31T12:00:00+00:00",
        fingerprint=Fingerprint("Paper", 2, 4.0, "Linux", "3.11.7", "onnxruntime 1.31"),
    )  # fmt: skip


def networks(count: int, seed: int = 0) -> list[Architecture]:
    """Of the default space, balanced."""
    return draw_balanced(load_space("ghostnetv2"), count, seed)

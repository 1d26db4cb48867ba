"""Are identical networks called different, and networks 3 % apart told apart?

Networks near stock GhostNetV2 1.0 are measured at length first; pairs that are then 3 % apart are
compared afresh, beside pairs of identical networks.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import tempfile
from collections import Counter

from rich.table import Table

from benchmarks.table import table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.devices import Device
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.measurement import Measurement, open_device
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.measurement.plan import COMPARING, MeasurementOptions
from gnv2_nas.measurement.protocol import measure_networks
from gnv2_nas.measurement.records.record import compare
from gnv2_nas.space import load_space

POOL = 20
IDENTICAL = 40
APART, TOLERANCE = 0.03, 0.006
PAIRS = 10
AT_LENGTH = MeasurementOptions(precision=0.002, seconds_per_network=6.0, sessions=6)


def run() -> Table:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        device = open_device("cpu")
        ensure_calibrated(device)
        pool = _near_stock(POOL)
        truth = measure_networks(pool, device, AT_LENGTH)
        near = _three_percent_apart(truth)
        identical = Counter(
            verdict for _ in range(IDENTICAL // POOL) for verdict in _identical(pool, device)
        )
        again = measure_networks(pool, device, COMPARING)
    apart = Counter(compare(again[slower], again[faster]).verdict for slower, faster in near)
    kinds = ("FASTER", "SLOWER", "SAME", "CANNOT TELL")
    rows = [
        ("identical (promised: at most 2 of 40 FASTER or SLOWER)", *_counts(identical, kinds)),
        (f"{APART:.0%} slower (promised: SLOWER 9 of 10 times)", *_counts(apart, kinds)),
    ]
    return table("Verdicts on pairs of networks", ("pairs", *kinds), rows)


def _counts(verdicts: Counter[str], kinds: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{verdicts[kind]} of {verdicts.total()}" for kind in kinds)


def _near_stock(count: int) -> list[Architecture]:
    """Stock V2 1.0 with three genes changed at random."""
    space, rng = load_space("ghostnetv2"), random.Random(0)
    stock = space.encode(preset(REFERENCE)) or {}
    found: dict[str, Architecture] = {}
    while len(found) < count:
        changed = {gene.name: rng.choice(gene.choices) for gene in rng.sample(space.genes, 3)}
        arch = space.decode(stock | changed)
        found[arch.id] = arch
    return list(found.values())


def _three_percent_apart(measured: list[Measurement]) -> list[tuple[int, int]]:
    """Numbers of (slower, faster), those nearest to 3 % first."""

    def off(pair: tuple[int, int]) -> float:
        slower, faster = (measured[number].ratio for number in pair)
        return abs(math.log(slower / faster) - APART)

    pairs = sorted(itertools.permutations(range(len(measured)), 2), key=off)
    return [pair for pair in pairs[:PAIRS] if off(pair) < TOLERANCE]


def _identical(pool: list[Architecture], device: Device) -> list[str]:
    """Each network against itself, half of the pool in one batch."""
    verdicts = []
    for half in (pool[::2], pool[1::2]):
        measured = measure_networks([*half, *half], device, COMPARING)
        pairs = zip(measured[: len(half)], measured[len(half) :], strict=True)
        verdicts += [compare(*pair).verdict for pair in pairs]
    return verdicts


if __name__ == "__main__":
    from rich import print as show

    show(run())

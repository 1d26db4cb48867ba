"""`count` against fvcore: same figures, and how much faster."""

from __future__ import annotations

import random
import statistics
import time

from rich.table import Table

from benchmarks.table import median_seconds, milliseconds, table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.graph import count, lower
from gnv2_nas.nn import build_model
from gnv2_nas.nn.network import fvcore_total, fvcore_total_of
from gnv2_nas.space import SearchSpace, load_space

ARCHITECTURES = 200


def run() -> Table:
    stock = preset("ghostnetv2-1.0")
    rng = random.Random(0)
    space = load_space("ghostnetv2")
    sampled = [space.sample(rng) for _ in range(ARCHITECTURES)]
    model = build_model(stock).eval()
    fvcore = median_seconds(lambda: fvcore_total_of(model), 5)
    built = median_seconds(lambda: fvcore_total(stock), 5)
    ours = median_seconds(lambda: count(stock), 200)
    rows = [
        ("fvcore, stock V2 1.0", milliseconds(fvcore), "1"),
        ("  building the module included", milliseconds(built), ""),
        ("count, stock V2 1.0", milliseconds(ours), f"{fvcore / ours:.0f}x faster"),
        (f"count, median of {ARCHITECTURES} random networks", milliseconds(_median(sampled)), ""),
        ("  of which lower", milliseconds(median_seconds(lambda: lower(stock), 200)), ""),
        ("sample + decode + count", milliseconds(_per_candidate(space, rng)), ""),
    ]
    return table(
        "Counting one architecture (promised: 0.5 ms, 1000x faster than fvcore)",
        ("", "median", ""),
        rows,
    )


def _median(architectures: list[Architecture]) -> float:
    times = []
    for arch in architectures:
        start = time.perf_counter()
        count(arch)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _per_candidate(space: SearchSpace, rng: random.Random) -> float:
    return median_seconds(lambda: count(space.sample(rng)), 200)

"""Every runtime that is installed: are its files right and quickly there, do its layers add up?"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence

from rich.table import Table

from benchmarks.table import milliseconds, table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.runtimes.base import RUNTIMES, Runtime, get_runtime
from gnv2_nas.runtimes.parity import difference, expected_logits
from gnv2_nas.space import load_space

NETWORKS = 20
STOCK = ("ghostnet-1.0", "ghostnetv2-1.0")
SLOW = ("torch-compile",)
"""Needs minutes for a network, and has no layers."""
TURNS, CALLS = 7, 20


def run() -> Table:
    rng, space = random.Random(0), load_space("ghostnetv2")
    networks = [*map(preset, STOCK), *(space.sample(rng) for _ in range(NETWORKS))]
    expected = [expected_logits(arch) for arch in networks]
    rows = []
    for name, kind in RUNTIMES.items():
        if name in SLOW or kind.missing():
            rows.append((name, "", "", "", "left out" if name in SLOW else kind.installation()))
            continue
        runtime = get_runtime(name)
        writing, loading, apart = [], [], []
        for arch, logits in zip(networks, expected, strict=True):
            start = time.perf_counter()
            files = runtime.write(arch)
            written = time.perf_counter()
            session = runtime.load(files, 1)
            loading.append(time.perf_counter() - written)
            writing.append(written - start)
            apart.append(difference(session.logits(), logits))
        rows.append(
            (
                name,
                milliseconds(statistics.median(writing)),
                milliseconds(statistics.median(loading)),
                f"{max(apart):.1e}",
                f"{_layers_of_a_call(runtime, networks[1]):.3f}",
            )
        )
    title = (
        f"Stock V1, V2 and {NETWORKS} random networks of ghostnetv2, one thread, float32 "
        "(promised: written in 300 ms, 1e-3, layers within 0.1)"
    )
    columns = ("", "writing, median", "loading", "worst difference from torch", "layers ÷ call")
    return table(title, columns, rows)


def _layers_of_a_call(runtime: Runtime, arch: Architecture) -> float:
    """Sum of all layers over the time of a call just before and after: median over turns."""
    files = runtime.write(arch)
    session = runtime.load(files, 1)
    ratios, before = [], _calls(runtime, session.run)
    for _ in range(TURNS):
        layers = sum(runtime.layer_seconds(files, 1, CALLS).values())
        after = _calls(runtime, session.run)
        ratios.append(layers / statistics.median([*before, *after]))
        before = after
    return statistics.median(ratios)


def _calls(runtime: Runtime, call: Callable[[], object]) -> Sequence[float]:
    return [runtime.timer(call)[0] for _ in range(CALLS)]

"""Data-free scores: noise, cost, and correlation with size on random networks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from rich.table import Table

from benchmarks.networks import random_networks
from benchmarks.table import milliseconds, table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.graph import count
from gnv2_nas.quality import ESTIMATORS, QualityEstimator, get_estimator
from gnv2_nas.quality.proxies.az_nas import AzNasScore
from gnv2_nas.quality.proxies.combination import Combination
from gnv2_nas.quality.proxies.naswot_synflow import NaswotScore, SynFlowScore
from gnv2_nas.quality.proxies.swap import SwapScore
from gnv2_nas.quality.proxies.zen import ZenScore
from gnv2_nas.quality.proxies.zico import ZicoScore
from gnv2_nas.space import load_space
from gnv2_nas.stats.rank_agreement import kendall_tau

SEEDS = 3
NETWORKS = 40
STOCK = {
    "ghostnet-1.0": "V1 1.0",
    "ghostnetv2-1.0": "V2 1.0",
    "ghostnetv2-1.3": "V2 1.3",
    "ghostnetv2-1.6": "V2 1.6",
}
SCORES: dict[str, Callable[[int], QualityEstimator]] = {
    "zen": lambda seed: ZenScore(seed=seed),
    "naswot": lambda seed: NaswotScore(seed=seed),
    "synflow": lambda _: SynFlowScore(),
    "az-nas": lambda seed: AzNasScore(SPACE, seed=seed),
    "zico": lambda seed: ZicoScore(seed=seed),
    "swap": lambda seed: SwapScore(seed=seed),
    "naswot+params": lambda seed: Combination(
        ESTIMATORS["naswot+params"], [NaswotScore(seed=seed), get_estimator("params")], SPACE
    ),
}
"""Name → function that makes the estimator with a seed."""
SPACE = load_space("ghostnetv2")


def run() -> Table:
    networks = random_networks(SPACE.name, NETWORKS, seed=0)
    rows = [_row(name, make, networks) for name, make in SCORES.items()]
    columns = (
        "", *STOCK.values(), "largest sd", "CPU, V2 1.0", "CPU before the first",
        "τ to parameters", "τ to MACs",
    )  # fmt: skip
    title = (
        f"Data-free scores, none an accuracy: stock networks, mean of {SEEDS} seeds; τ over "
        f"{NETWORKS} random networks of {SPACE.name}"
    )
    return table(title, columns, rows)


def _row(
    name: str, make: Callable[[int], QualityEstimator], networks: list[Architecture]
) -> tuple[str, ...]:
    first = make(0)
    small = preset("ghostnetv2-1.0").replace(resolution=32)
    preparing = _cpu_seconds(lambda: first.score(small)) - _cpu_seconds(lambda: first.score(small))
    seconds = _cpu_seconds(lambda: first.score(preset("ghostnetv2-1.0")))
    seeded = [first, *(make(seed) for seed in range(1, SEEDS))]
    draws = [[one.score(preset(stock)) for one in seeded] for stock in STOCK]
    scores = [first.score(arch) for arch in networks]
    counts = [count(arch) for arch in networks]
    return (
        ESTIMATORS[name].title,
        *(f"{statistics.mean(values):.2f}" for values in draws),
        f"{max(statistics.stdev(values) for values in draws):.3f}",
        milliseconds(seconds),
        milliseconds(preparing) if preparing > 1 else "–",
        f"{kendall_tau(scores, [one.params for one in counts]):.2f}",
        f"{kendall_tau(scores, [one.macs for one in counts]):.2f}",
    )


def _cpu_seconds(call: Callable[[], object]) -> float:
    """CPU time of a call; scores compute in one thread, so other load does not count."""
    start = time.process_time()
    call()
    return time.process_time() - start

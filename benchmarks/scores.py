"""Zen-score: its noise, its cost, and how closely it follows size on random networks."""

from __future__ import annotations

import random
import statistics
import time

from rich.table import Table

from benchmarks.table import milliseconds, table
from gnv2_nas.arch import Architecture, list_presets, preset
from gnv2_nas.graph import count
from gnv2_nas.quality.kendall import kendall_tau
from gnv2_nas.quality.zen import ZenScore
from gnv2_nas.space import load_space

SEEDS = 5
NETWORKS = 60


def run() -> Table:
    rows = [(name, *_scored(preset(name))) for name in list_presets()]
    rows.append((f"τ to parameters, {NETWORKS} random networks of ghostnetv2", *_follows_size()))
    columns = ("", "score", "sd over seeds", "time")
    return table("Zen-score (data-free, not an accuracy)", columns, rows)


def _scored(arch: Architecture) -> tuple[str, str, str]:
    start = time.perf_counter()
    scores = [ZenScore(seed=seed).score(arch) for seed in range(SEEDS)]
    seconds = (time.perf_counter() - start) / SEEDS
    return (
        f"{statistics.mean(scores):.2f}",
        f"{statistics.stdev(scores):.2f}",
        milliseconds(seconds),
    )


def _follows_size() -> tuple[str, str, str]:
    space, rng = load_space("ghostnetv2"), random.Random(0)
    networks = [space.sample(rng) for _ in range(NETWORKS)]
    score = ZenScore().score
    tau = kendall_tau([score(arch) for arch in networks], [count(arch).params for arch in networks])
    return f"{tau:.2f}", "", ""

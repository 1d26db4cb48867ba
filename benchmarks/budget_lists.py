"""A list of budgets in one search, against one search for each and one within the loosest.

On the landscape `ghostnetv2`, whose true values are known: the hypervolume of the true values of
all networks within each limit. Each search evaluates as many networks as each of the others.
"""

from __future__ import annotations

import random
import statistics

import numpy as np
import optuna
from msgspec.structs import replace
from rich.table import Table

from benchmarks.landscapes.ghostnetv2 import Ghostnetv2
from benchmarks.table import table
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.measurement import Measurement
from gnv2_nas.search.analysis.pareto import hypervolume
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.sampler.encoders import GraphEncoder
from gnv2_nas.search.sampler.factory import BATCH_SIZE, make_sampler
from gnv2_nas.search.study.budgets import parse_budget, parse_budgets, parse_limits
from gnv2_nas.search.study.records import Trial

LIMITS = ("100MFLOPs", "200MFLOPs", "300MFLOPs")
OBJECTIVES = ("quality", "latency")
STOCK_MS = 7.0
SEEDS, EVALUATIONS = 4, 96


def run() -> Table:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    landscape = Ghostnetv2()
    asked = {"the list": ",".join(LIMITS)} | {f"{limit} alone": limit for limit in LIMITS}
    rows = []
    for name, budget in asked.items():
        found = np.array([_hypervolumes(landscape, budget, seed) for seed in range(SEEDS)])
        rows.append((name, *(f"{statistics.fmean(column):.2f}" for column in found.T)))
    title = f"Hypervolume within each limit after {EVALUATIONS} networks, mean of {SEEDS} seeds"
    return table(title, ("search within", *LIMITS), rows)


def _hypervolumes(landscape: Ghostnetv2, budget: str, seed: int) -> list[float]:
    """Of one search, within each of `LIMITS`."""
    budgets, seen, noise = parse_budgets([budget]), set[str](), random.Random(seed)
    loosest = budgets[0].limit
    bounds = [{"macs": each.limit / loosest - 1} for each in parse_limits([budget]) or budgets]
    sampler = make_sampler(
        "predictor", seed, lambda: GraphEncoder(landscape.space, budgets, OBJECTIVES, seen), bounds
    )
    proposals = Proposals(landscape.space, budgets, OBJECTIVES, sampler, seed, seen)
    found = []
    for _ in range(EVALUATIONS // BATCH_SIZE):
        batch = [trial for _ in range(BATCH_SIZE) if (trial := proposals.ask()) is not None]
        for trial in batch:
            proposals.tell(_evaluate(landscape, trial, noise))
            found.append((*landscape.true_values(trial.params), trial.counts.macs))
    losses = np.array(found)
    losses[:, 0] *= -1
    reference = np.array(landscape.reference) * (-1, 1)
    macs = [parse_budget(limit).limit for limit in LIMITS]
    return [hypervolume(losses[losses[:, 2] <= limit, :2], reference) for limit in macs]


def _evaluate(landscape: Ghostnetv2, trial: Trial, noise: random.Random) -> Trial:
    """The trial with a score and a latency that have the noise of one evaluation."""
    quality, ratio = landscape.evaluate(trial.params, noise)
    latency = Measurement(
        architecture=trial.architecture.id, device="cpu", runtime="", threads=1, precision="fp32",
        ms=STOCK_MS * ratio, ci95=(STOCK_MS * ratio, STOCK_MS * ratio), ratio=ratio,
        ratio_ci95=(ratio, ratio), stable=True, reason="", clock="cpu", raw_ms=STOCK_MS * ratio,
        rounds=1, taken_at="", fingerprint=Fingerprint("", 1, 1.0, "", "", ""),
    )  # fmt: skip
    return replace(trial, quality=quality, latencies={"cpu": latency})

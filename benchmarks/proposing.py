"""What a proposal costs: 64 parameters, 1,000 finished trials, two objectives, in memory.

A proposal is asking for a trial, suggesting every parameter, and telling the outcome. A sampler
that plans several at once is slow once and fast in between, so the worst counts beside the mean.
CPU time is of all threads; on a busy machine it says more than wall time.
"""

from __future__ import annotations

import gc
import multiprocessing
import random
import time
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import create_trial
from rich.table import Table

from benchmarks.samplers import OURS, RANDOM, SAMPLERS, make_sampler
from benchmarks.table import milliseconds, table

PARAMETERS = 64
CHOICES = (0, 1, 2, 3)
TRIALS = 1000
PROPOSALS = 20
SLOW = ("gp",)
"""Takes minutes for one proposal after so many trials."""
MEMORY_STEP, MEMORY_PROPOSALS = 100, 8
"""The memory is read after every so many trials, the last of which were proposed."""

Result = TypeVar("Result")


class Cost(NamedTuple):
    """Of the proposals of one sampler, seconds."""

    mean: float
    worst: float
    cpu: float
    """Mean CPU time."""


class Memory(NamedTuple):
    """What Python and NumPy held at some number of trials, MiB."""

    afterwards: float
    peak: float
    """While the last trials were proposed."""


def run() -> Table:
    rows = []
    for name in (name for name in SAMPLERS if name not in SLOW):
        cost = _in_a_process(proposal_cost, name)
        rows.append((f"{name}, a proposal", *map(milliseconds, cost)))
    for name in (RANDOM, OURS):
        first, *_, last = _in_a_process(memory, name)
        growth = f"{last.afterwards - first.afterwards:+.1f} MiB"
        rows.append((f"{name}, memory {MEMORY_STEP} → {TRIALS} trials, held", growth, "", ""))
        growth = f"{last.peak - first.peak:+.1f} MiB"
        rows.append((f"{name}, memory {MEMORY_STEP} → {TRIALS} trials, peak", growth, "", ""))
    title = f"{PARAMETERS} parameters, {TRIALS} trials (promised: 300 ms a proposal, memory flat)"
    return table(title, ("", "mean", "worst", "mean CPU"), rows)


def proposal_cost(name: str) -> Cost:
    """Of `PROPOSALS` proposals after `TRIALS` trials that were evaluated before."""
    rng, study = random.Random(0), _study(name)
    study.add_trials([_finished(rng) for _ in range(TRIALS)])
    seconds, cpu = [], time.process_time()
    for _ in range(PROPOSALS):
        start = time.perf_counter()
        _propose(study, rng)
        seconds.append(time.perf_counter() - start)
    cpu = time.process_time() - cpu
    return Cost(sum(seconds) / PROPOSALS, max(seconds), cpu / PROPOSALS)


def memory(name: str) -> list[Memory]:
    """After every `MEMORY_STEP` trials, the study's own trials included."""
    rng, study = random.Random(0), _study(name)
    found = []
    tracemalloc.start()
    for _ in range(TRIALS // MEMORY_STEP):
        study.add_trials([_finished(rng) for _ in range(MEMORY_STEP - MEMORY_PROPOSALS)])
        tracemalloc.reset_peak()
        for _ in range(MEMORY_PROPOSALS):
            _propose(study, rng)
        gc.collect()
        found.append(Memory(*(each / 2**20 for each in tracemalloc.get_traced_memory())))
    return found


def _study(name: str) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler(name, 0))


def _propose(study: optuna.Study, rng: random.Random) -> None:
    trial = study.ask()
    levels = [trial.suggest_categorical(name, CHOICES) for name in _names()]
    study.tell(trial, _values(levels, rng))


def _finished(rng: random.Random) -> optuna.trial.FrozenTrial:
    params = {name: rng.choice(CHOICES) for name in _names()}
    distributions: dict[str, BaseDistribution] = dict.fromkeys(
        params, CategoricalDistribution(CHOICES)
    )
    return create_trial(
        params=params, distributions=distributions, values=_values(list(params.values()), rng)
    )


def _names() -> list[str]:
    return [f"gene{number}" for number in range(PARAMETERS)]


def _values(levels: list[int], rng: random.Random) -> list[float]:
    """Two objectives at odds: each level helps the one and costs the other, unequally."""
    quality = sum(level**0.5 * (1 + number % 5) for number, level in enumerate(levels))
    cost = sum(level * (1 + number % 3) for number, level in enumerate(levels))
    return [quality + rng.gauss(0, 1), cost * rng.gauss(1, 0.02)]


def _in_a_process(function: Callable[[str], Result], name: str) -> Result:
    """One of its own, so that no other sampler's memory or caches count."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, (name,))

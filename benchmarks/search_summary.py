"""What runs of several samplers on one landscape say: means, gains over random, and doubts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.samplers import NSGA2, RANDOM
from benchmarks.search_runs import Run

AFTER = (50, 100, 250)
"""Evaluations after which the hypervolume is shown."""
RESAMPLES = 10_000

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


class Summary(NamedTuple):
    """One sampler on one landscape."""

    sampler: str
    curves: Matrix
    """(seeds, evaluations) hypervolumes."""
    gains: Vector
    """(seeds,) hypervolume in the end less that of random search with the same seed; of searches
    cut short, when random search was as far."""
    multiple: tuple[float, float, float] | None
    """Mean gain over that of NSGA-II, with its 95 % interval; None without either,
    and for searches that were cut short."""
    passed: int | None
    """Evaluation after which NSGA-II's mean in the end is passed; None if never."""
    seconds: float
    """CPU time of a search on average, the landscape's own included."""


def summarise(runs: Sequence[Run]) -> list[Summary]:
    """A summary of each sampler in `runs`, all on one landscape, in the order they come in."""
    names = list(dict.fromkeys(run.job.sampler for run in runs))
    of = {name: {run.job.seed: run for run in runs if run.job.sampler == name} for name in names}
    return [_summary(name, of[name], of.get(RANDOM, {}), of.get(NSGA2, {})) for name in names]


def _summary(
    name: str, own: dict[int, Run], randoms: dict[int, Run], nsga2: dict[int, Run]
) -> Summary:
    curves = _curves(own, sorted(own))
    shared = sorted(own.keys() & randoms.keys())
    last = curves.shape[1] - 1
    gains = _at(own, shared, last) - _at(randoms, shared, last)
    baseline = [seed for seed in shared if seed in nsga2]
    multiple, passed = None, None
    if baseline and all(len(nsga2[seed].hypervolumes) == last + 1 for seed in baseline):
        multiple = _multiple(
            _at(own, baseline, last) - _at(randoms, baseline, last),
            _at(nsga2, baseline, last) - _at(randoms, baseline, last),
        )
        target = _curves(nsga2, baseline)[:, -1].mean()
        above = np.flatnonzero(_curves(own, baseline).mean(axis=0) > target)
        passed = int(above[0]) + 1 if len(above) else None
    seconds = float(np.mean([run.seconds for run in own.values()]))
    return Summary(name, curves, gains, multiple, passed, seconds)


def _curves(runs: dict[int, Run], seeds: Sequence[int]) -> Matrix:
    return np.array([runs[seed].hypervolumes for seed in seeds])


def _at(runs: dict[int, Run], seeds: Sequence[int], evaluation: int) -> Vector:
    return np.array([runs[seed].hypervolumes[evaluation] for seed in seeds])


def _multiple(gains: Vector, baseline: Vector) -> tuple[float, float, float]:
    """Ratio of the means, and its 95 % interval by a bootstrap over the seeds.

    Where NSGA-II gains nothing over random search, any gain is infinitely many times as much.
    """
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(gains), (RESAMPLES, len(gains)))
    ratios = _ratio(gains[rows].mean(axis=1), baseline[rows].mean(axis=1))
    low, high = np.percentile(ratios, [2.5, 97.5], method="nearest")
    return float(_ratio(gains.mean(), baseline.mean())), float(low), float(high)


def _ratio(gain: Vector | np.floating, baseline: Vector | np.floating) -> Vector:
    gain, baseline = np.asarray(gain), np.asarray(baseline)
    safe = np.where(baseline > 0, baseline, 1.0)
    return np.where(baseline > 0, gain / safe, np.where(gain > 0, np.inf, -np.inf))

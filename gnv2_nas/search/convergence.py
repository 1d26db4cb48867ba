"""How far a search has come: hypervolume over evaluations, what is left to gain, flatness."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.hypervolume import hypervolume_gain
from gnv2_nas.search.objectives import loss
from gnv2_nas.search.pareto import non_dominated
from gnv2_nas.search.records import Candidate, ObjectiveName

Array = NDArray[np.float64]

BEYOND = 0.1
"""How far the reference lies beyond the worst of the front, in ranges of the front: so its
extremes count something too (Ishibuchi et al., "How to specify a reference point in hypervolume
calculation", Evolutionary Computation 26, 2018)."""

PATIENCE = 64
TOLERANCE = 0.005
FEWEST = 120
"""Evaluations before which no search is called flat."""

FEWEST_FOR_ESTIMATE = 40
TREND = 0.5
"""Standard deviation, in logs, of how gains to come differ in size from those of late."""
RESAMPLES = 1000
_LEAST = 1e-12


class GainLeft(msgspec.Struct, frozen=True):
    """What further evaluations would add to the hypervolume, as shares of what there is."""

    evaluations: int
    expected: float
    low: float
    """Lower end of the 90 % interval."""
    high: float


def hypervolume_history(
    candidates: Sequence[Candidate], objectives: Sequence[ObjectiveName]
) -> Array:
    """(n,) hypervolume after each evaluation, as a share of the box that `scaled_losses` spans.

    Never falls. A candidate that breaks a budget, or lacks a value, adds nothing. One pass: ten
    thousand candidates in two objectives take a quarter of a second, in three twice that.
    """
    return history_of(scaled_losses(candidates, objectives))


def scaled_losses(candidates: Sequence[Candidate], objectives: Sequence[ObjectiveName]) -> Array:
    """(n, k) losses between 0, the best of any candidate, and 1, the reference of hypervolumes.

    The box is that of the front of all candidates, and `BEYOND` more towards the worse: so it
    moves as the front grows, and histories compare within one call only. Where the front has no
    extent the range of all feasible candidates stands for it. Rows that are not feasible are NaN.
    """
    losses = np.array([[loss(one, name) for name in objectives] for one in candidates])
    losses = losses.reshape(len(candidates), len(objectives))
    counted = np.array([one.feasible for one in candidates], bool) & np.isfinite(losses).all(axis=1)
    if not counted.any():
        return np.full_like(losses, np.nan)
    known = losses[counted]
    ideal = known.min(axis=0)
    extents = np.stack([np.ptp(known[non_dominated(known)], axis=0), np.ptp(known, axis=0)])
    extent = np.where(extents[0] > 0, extents[0], np.where(extents[1] > 0, extents[1], 1.0))
    scaled: Array = (losses - ideal) / ((1 + BEYOND) * extent)
    scaled[~counted] = np.nan
    return scaled


def history_of(scaled: Array) -> Array:
    """(n,) hypervolume up to 1 after each row of (n, k) losses, in their order."""
    reference = np.ones(scaled.shape[1])
    gains, front = np.zeros(len(scaled)), np.empty((0, scaled.shape[1]))
    for row, point in enumerate(scaled):
        if (point < 1).all() and not (front <= point).all(axis=1).any():
            gains[row] = hypervolume_gain(point, front, reference)
            front = np.vstack([front[(front < point).any(axis=1)], point])
    return np.cumsum(gains)


def is_flat(
    history: Array,
    patience: int = PATIENCE,
    tolerance: float = TOLERANCE,
    fewest: int = FEWEST,
) -> bool:
    """Whether a search has stopped to gain: the rule of `--stop-when-flat`.

    It has when `fewest` candidates were evaluated, and the hypervolume grew by less than
    `tolerance` of itself over the last `patience` of them. Before anything is feasible it never is.
    """
    if len(history) < max(fewest, patience + 1) or history[-1] <= 0:
        return False
    return bool(history[-1] - history[-1 - patience] < tolerance * history[-1])


def gain_left(history: Array, evaluations: int, seed: int = 0) -> GainLeft | None:
    """What `evaluations` more would add, with a 90 % interval; None where too little is known.

    Improvements are taken for records: between m and n evaluations they come in number
    proportional to log(n / m) (Rényi, "Théorie des éléments saillants d'une suite
    d'observations", 1962), so that the second half of the search tells about what follows. The
    interval is that of a compound Poisson process: the rate from a Gamma posterior (Jeffreys'
    prior), sizes from a Bayesian bootstrap over the improvements of that half and the largest
    shortly before it, and `TREND` for all of them alike growing or shrinking.

    In 160 simulated searches of 50 to 250 evaluations (random, evolutionary, on models) it held
    what 50 to 250 more added 82 to 100 times of 100, and 95 on average; where it did not, a search
    on models was at its end and less came than was expected. Ask for no more than were made.
    """
    total = len(history)
    if total < FEWEST_FOR_ESTIMATE or history[-1] <= 0:
        return None
    gains = np.diff(history, prepend=0.0)
    half = total // 2
    late = gains[half:][gains[half:] > _LEAST]
    sizes = np.append(late, _size_before(gains, half))
    seen, ahead = math.log(total / half), math.log((total + evaluations) / total)
    rng = np.random.default_rng(seed)
    numbers = rng.poisson(rng.gamma(len(late) + 0.5, ahead / seen, RESAMPLES))
    weights = rng.dirichlet(np.ones(len(sizes)), RESAMPLES)
    sums = rng.multinomial(numbers, weights) @ sizes * rng.lognormal(0.0, TREND, RESAMPLES)
    low, high = np.quantile(sums, [0.05, 0.95]) / history[-1]
    expected = float(late.sum()) * ahead / seen / float(history[-1])
    return GainLeft(evaluations, expected, float(min(low, expected)), float(max(high, expected)))


def _size_before(gains: Array, half: int) -> float:
    """The largest improvement of the quarter before `half`, or the last one before that."""
    shortly = float(gains[half // 2 : half].max())
    return shortly or float(gains[:half][gains[:half] > _LEAST][-1:].sum())

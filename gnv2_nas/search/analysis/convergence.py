"""How far a search has come: hypervolume over evaluations, what is left to gain, flatness."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.analysis.pareto import hypervolume_gain, is_non_dominated
from gnv2_nas.search.study.metrics import loss
from gnv2_nas.search.study.records import Trial

Array = NDArray[np.float64]

REFERENCE_MARGIN = 0.1
"""How far the reference lies beyond the worst of the front, in ranges of the front: so its
extremes count something too (Ishibuchi et al., "How to specify a reference point in hypervolume
calculation", Evolutionary Computation 26, 2018)."""

PATIENCE = 64
TOLERANCE = 0.005
MIN_EVALUATIONS = 120
"""Evaluations before which no search is called flat."""

MIN_FOR_ESTIMATE = 40
TREND = 0.5
"""Standard deviation, in logs, of how gains to come differ in size from those of late."""
RESAMPLES = 1000
_Z = 1.645
_MIN_GAIN = 1e-12


class ExpectedGain(msgspec.Struct, frozen=True):
    """What further evaluations would add to the hypervolume, as shares of what there is.

    Nobody knows how a search goes on: this is a range between assumptions, and no interval that
    holds the truth so many times in a hundred.
    """

    evaluations: int
    expected: float
    """If improvements come as records do, more and more seldom."""
    low: float
    """If they fade as they did of late."""
    high: float
    """If they come as steadily as in the second half of the search."""


def hypervolume_history(trials: Sequence[Trial], objectives: Sequence[str]) -> Array:
    """(n,) hypervolume after each evaluation, as a share of the box that `scale_losses` spans.

    Never falls. A trial that breaks a budget, or lacks a value, adds nothing. One pass: ten
    thousand trials in two objectives take a quarter of a second, in three twice that.
    """
    return accumulate_hypervolume(scale_losses(trials, objectives))


def scale_losses(trials: Sequence[Trial], objectives: Sequence[str]) -> Array:
    """(n, k) losses between 0, the best of any trial, and 1, the reference of hypervolumes.

    The box spans the front of all trials and `REFERENCE_MARGIN` beyond its worst values. It
    moves as the front grows, so compare histories of one call only. Where the front has no
    extent, the range of all feasible trials replaces it. Infeasible rows are NaN.
    """
    losses = np.array([[loss(one, name) for name in objectives] for one in trials])
    losses = losses.reshape(len(trials), len(objectives))
    counted = np.array([one.feasible for one in trials], bool) & np.isfinite(losses).all(axis=1)
    if not counted.any():
        return np.full_like(losses, np.nan)
    known = losses[counted]
    ideal = known.min(axis=0)
    extents = np.stack([np.ptp(known[is_non_dominated(known)], axis=0), np.ptp(known, axis=0)])
    extent = np.where(extents[0] > 0, extents[0], np.where(extents[1] > 0, extents[1], 1.0))
    scaled: Array = (losses - ideal) / ((1 + REFERENCE_MARGIN) * extent)
    scaled[~counted] = np.nan
    return scaled


def accumulate_hypervolume(scaled: Array) -> Array:
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
    minimum: int = MIN_EVALUATIONS,
) -> bool:
    """Whether a search has stopped to gain: the rule of `--stop-when-flat`.

    It has when `minimum` trials were evaluated, and the hypervolume grew by less than
    `tolerance` of itself over the last `patience` of them. Before anything is feasible it never is.
    """
    if len(history) < max(minimum, patience + 1) or history[-1] <= 0:
        return False
    return bool(history[-1] - history[-1 - patience] < tolerance * history[-1])


def estimate_gain(history: Array, evaluations: int, seed: int = 0) -> ExpectedGain | None:
    """What `evaluations` more would add under three assumptions; None where too little is known.

    Expected are records: between m and n evaluations they come in number proportional to
    log(n / m) (Rényi, "Théorie des éléments saillants d'une suite d'observations", 1962), so that
    the second half of the search tells about what follows. The range reaches from what luck makes
    of records, or of improvements that fade from quarter to quarter as they did of late, to what
    luck makes of improvements that come as often as in the second half.

    In simulated searches of 50 to 200 evaluations it held what half or as many more added 83 to
    100 times of 100: random, evolutionary, saturating, steady, with coarse scores. Of searches
    whose front leapt at some moment it held 73 to 90; nothing before the leap tells of it. Ask for
    no more evaluations than were made.
    """
    total = len(history)
    if total < MIN_FOR_ESTIMATE or history[-1] <= 0:
        return None
    gains = np.diff(history, prepend=0.0)
    half = total // 2
    late = gains[half:][gains[half:] > _MIN_GAIN]
    sizes = np.append(late, _find_size_before(gains, half))
    rng = np.random.default_rng(seed)
    records = math.log((total + evaluations) / total) / math.log(total / half)
    expected = float(late.sum()) * records
    faded = _extrapolate_fading(gains, evaluations) * math.exp(-_Z * TREND)
    low = min(_quantile(sizes, records, 0.05, rng), faded, expected)
    high = max(_quantile(sizes, evaluations / (total - half), 0.95, rng), expected)
    return ExpectedGain(evaluations, *(float(each / history[-1]) for each in (expected, low, high)))


def _quantile(sizes: Array, ratio: float, share: float, rng: np.random.Generator) -> float:
    """Of what comes in `ratio` times the evaluations that the improvements `sizes` came in.

    A compound Poisson process: the rate from a Gamma posterior (Jeffreys' prior), sizes from a
    Bayesian bootstrap, and `TREND` for all of them alike growing or shrinking. The last of
    `sizes` is of an earlier time.
    """
    numbers = rng.poisson(rng.gamma(len(sizes) - 0.5, ratio, RESAMPLES))
    weights = rng.dirichlet(np.ones(len(sizes)), RESAMPLES)
    sums = rng.multinomial(numbers, weights) @ sizes * rng.lognormal(0.0, TREND, RESAMPLES)
    return float(np.quantile(sums, share))


def _extrapolate_fading(gains: Array, evaluations: int) -> float:
    """What comes if each quarter of the search so far is followed by one that gains as much less
    as the last gained less than the third."""
    total = len(gains)
    quarter = total // 4
    third, last = gains[total // 2 : -quarter].sum(), gains[-quarter:].sum()
    left = float(min(last / third, 1.0) if third > 0 else last > 0)
    quarters = evaluations / quarter
    return float(last) * (quarters if left == 1 else left * (1 - left**quarters) / (1 - left))


def _find_size_before(gains: Array, half: int) -> float:
    """The largest improvement of the quarter before `half`, or the last one before that."""
    shortly = float(gains[half // 2 : half].max())
    return shortly or float(gains[:half][gains[:half] > _MIN_GAIN][-1:].sum())

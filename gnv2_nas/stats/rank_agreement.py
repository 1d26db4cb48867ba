"""Kendall's τ, and its interval from a bootstrap over networks.

A resample draws as many networks as there are, with replacement. Its τ-b is a ratio of quadratic
forms in the counts of the networks, so all resamples take one matrix product. `kendall_tau` is
written out because importing scipy.stats takes a second.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.stats.intervals import student_95, wilson_interval


def kendall_tau(x: Sequence[float], y: Sequence[float]) -> float:
    """Return τ-b of the pairs (x, y): 1 same order, 0 unrelated, -1 opposite order.

    Knight's method (JASA 61, 1966): in order of x, a discordant pair is an inversion of y. Pairs
    with a NaN are left out. The result is NaN if fewer than two remain or one side is constant.
    """
    pairs = sorted(
        pair for pair in zip(x, y, strict=True) if not (math.isnan(pair[0]) or math.isnan(pair[1]))
    )
    total = _pairs_among(len(pairs))
    tied_x = _tied_pairs(pair[0] for pair in pairs)
    tied_y = _tied_pairs(sorted(pair[1] for pair in pairs))
    tied_both = _tied_pairs(pairs)
    if tied_x == total or tied_y == total:
        return math.nan
    concordant_less_discordant = (
        total - tied_x - tied_y + tied_both - 2 * _inversions([pair[1] for pair in pairs])
    )
    return concordant_less_discordant / math.sqrt((total - tied_x) * (total - tied_y))


def _pairs_among(count: int) -> int:
    return count * (count - 1) // 2


def _tied_pairs(ordered: Iterable[Hashable]) -> int:
    return sum(_pairs_among(sum(1 for _ in equal)) for _, equal in groupby(ordered))


def _inversions(values: Sequence[float]) -> int:
    """Count the pairs whose first value is greater than the second."""
    seen: list[float] = []
    inversions = 0
    for value in values:
        place = bisect.bisect_right(seen, value)
        inversions += len(seen) - place
        seen.insert(place, value)
    return inversions


RESAMPLES = 2000
MIN_NETWORKS = 4
"""With fewer, an interval contains nearly every τ."""

_PSEUDO_PAIRS = 2
_Matrix = NDArray[np.float64]


class RankAgreement(msgspec.Struct, frozen=True):
    """Kendall's τ-b between a score and the accuracies, with its 95% interval."""

    tau: float
    low: float
    high: float
    networks: int

    def __str__(self) -> str:
        return f"{self.tau:.2f} [{self.low:.2f}, {self.high:.2f}]"


def rank_agreement(
    scores: Sequence[float], accuracies: Sequence[float], seed: int = 0
) -> RankAgreement | None:
    """Return τ-b of scores and accuracies of the same networks; None if there are too few.

    The bootstrap's percentiles fail near τ = 1: six networks in the right order would give [1, 1],
    which contains the true τ 58 times in 100. Only its variance is used. It gives the number of
    independent pairs that the networks are worth, and the interval is Wilson's for the share of
    concordant pairs (1 + τ) / 2 with that number. It contains the true τ in 94 to 100 of 100
    samples of 6 to 60 networks, at every τ up to 0.87.
    """
    total = len(scores)
    tau = kendall_tau(scores, accuracies)
    if total < MIN_NETWORKS or math.isnan(tau):
        return None
    resampled = _resampled_taus(scores, accuracies, _draws(total, seed))
    low, high = _wilson(tau, float(np.nanvar(resampled)), total)
    return RankAgreement(tau, low, high, total)


def agreement_gain(
    scores: Sequence[float], others: Sequence[float], accuracies: Sequence[float], seed: int = 0
) -> RankAgreement | None:
    """Return by how much the τ of `scores` exceeds that of `others`.

    The bootstrap's percentiles fail here, too: with 4 to 8 networks they contain the true gain 20
    to 90 times in 100, and have no width if both scores order the sample equally. As in
    `rank_agreement`, the variance gives a number of independent pairs. The interval is that of a
    difference of two paired shares with two pseudo-pairs added (Agresti & Min, Statistics in
    Medicine 24, 2005), with Student's quantile. It contains the true gain in 93 to 100 of 100
    samples of 4 to 40 networks, including accuracies with ties.

    Returns:
        None if there are too few networks or one τ is undefined.
    """
    total = len(scores)
    gain = kendall_tau(scores, accuracies) - kendall_tau(others, accuracies)
    if total < MIN_NETWORKS or math.isnan(gain):
        return None
    draws = _draws(total, seed)
    resampled = _resampled_taus(scores, accuracies, draws) - _resampled_taus(
        others, accuracies, draws
    )
    differences = _pair_gains(scores, accuracies) - _pair_gains(others, accuracies)
    square = float(np.mean(differences**2))
    pairs = _independent_pairs(square - gain**2, float(np.nanvar(resampled)), total)
    centre = pairs * gain / (pairs + _PSEUDO_PAIRS)
    # Half of the pseudo-pairs are ordered rightly by one score alone: a difference of 2 or -2.
    variance = (pairs * square + 2 * _PSEUDO_PAIRS) / (pairs + _PSEUDO_PAIRS) - centre**2
    half = student_95(total - 1) * math.sqrt(variance / (pairs + _PSEUDO_PAIRS))
    return RankAgreement(gain, max(-2.0, centre - half), min(2.0, centre + half), total)


def _pair_gains(x: Sequence[float], y: Sequence[float]) -> _Matrix:
    """Return the contribution of each pair of networks to τ-b; their mean is τ-b."""
    upper = np.triu_indices(len(x), 1)
    order_x, order_y = _order(x)[upper], _order(y)[upper]
    untied = float(abs(order_x).sum() * abs(order_y).sum())
    gains: _Matrix = order_x * order_y * (len(order_x) / math.sqrt(untied))
    return gains


def _draws(total: int, seed: int) -> _Matrix:
    """Return (RESAMPLES, networks) counts of each network in each resample."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(total, np.full(total, 1 / total), RESAMPLES).astype(np.float64)


def _resampled_taus(x: Sequence[float], y: Sequence[float], draws: _Matrix) -> _Matrix:
    """Return τ-b of each resample; NaN if one side is constant in it."""
    order_x, order_y = _order(x), _order(y)
    untied = _pairs(abs(order_x), draws) * _pairs(abs(order_y), draws)
    with np.errstate(divide="ignore", invalid="ignore"):
        taus: _Matrix = np.where(
            untied > 0, _pairs(order_x * order_y, draws) / np.sqrt(untied), np.nan
        )
    return taus


def _order(values: Sequence[float]) -> _Matrix:
    """Return 1 if the first of a pair is larger, -1 if it is smaller, 0 for ties."""
    column = np.asarray(values, dtype=np.float64)
    return np.sign(column[:, None] - column[None, :])


def _pairs(matrix: _Matrix, draws: _Matrix) -> _Matrix:
    """Return the sum of `matrix` over the pairs of each resample."""
    total: _Matrix = ((draws @ matrix) * draws).sum(axis=1)
    return total


def _wilson(tau: float, variance: float, networks: int) -> tuple[float, float]:
    """Return Wilson's interval of the share of concordant pairs, converted to τ."""
    share = (1 + tau) / 2
    pairs = _independent_pairs(4 * share * (1 - share), variance, networks)
    low, high = wilson_interval(share * pairs, pairs)
    return 2 * low - 1, 2 * high - 1


def _independent_pairs(one: float, variance: float, networks: int) -> float:
    """Return the number of independent pairs, each of variance `one`, that give `variance`.

    The lower bound networks / 2 belongs to the largest possible variance of τ, 2 (1 - τ²) / n
    (Kendall & Gibbons, Rank Correlation Methods, sec. 4). The upper bound is the number of pairs.
    """
    least = networks / 2
    most = min(4.0 * networks, networks * (networks - 1) / 2)
    pairs = one / variance if variance > 0 else least
    return min(max(pairs, least), most)

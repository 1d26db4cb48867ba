"""From samples to ratios with intervals. Knows no runtime.

log t = network + round + noise. The round effect is the median over all networks, of few networks
the mean of the references; the network effect is a trimmed mean over rounds, and the difference
of two network effects the log of their ratio. The interval is a bootstrap over rounds: single
calls of a round are not independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TRIM = 0.2
"""Share of rounds dropped at each end of the trimmed mean."""
RESAMPLES = 300
POLISH_FROM = 8
"""Networks from which on the median over all of them tells more about a round than the references
do. The median of fewer follows single networks, with an error that the bootstrap cannot see: of
three, 95 % intervals held the truth 75 times in 100."""
POLISH_SWEEPS = 4


class Estimates(msgspec.Struct, frozen=True):
    """Ratio of every network to the references, arrays of (networks,)."""

    ratio: Array
    low: Array
    high: Array
    reference_seconds: float
    """Time of the reference: exp of the mean of its members' network effects."""

    @property
    def half_width(self) -> Array:
        """Half of each interval, relative to the ratio."""
        return (self.high - self.low) / (2 * self.ratio)


def estimate(seconds: Array, references: Sequence[int], seed: int = 0) -> Estimates:
    """Ratios to the mean of `references` with 95 % intervals.

    Args:
        seconds: (networks, rounds), positive.
        references: rows that are the reference, for instance two sessions of one network.
        seed: of the bootstrap.
    """
    logs = np.log(seconds)
    reference_rows = list(references)
    few = len(logs) < POLISH_FROM
    adjusted = logs - (_centred(logs[reference_rows].mean(axis=0)) if few else round_effects(logs))
    level = _trimmed_mean(adjusted)
    rounds = logs.shape[1]
    rng = np.random.default_rng(seed)
    picks = rng.integers(rounds, size=(RESAMPLES, rounds))
    resampled = _trimmed_mean(adjusted[:, picks])
    log_ratios = resampled - resampled[reference_rows].mean(axis=0)
    low, high = np.percentile(log_ratios, [2.5, 97.5], axis=1)
    reference = float(level[reference_rows].mean())
    log_ratio = level - reference
    widen = _few_rounds(rounds)
    return Estimates(
        ratio=np.exp(log_ratio),
        low=np.exp(log_ratio - widen * np.maximum(log_ratio - low, 0)),
        high=np.exp(log_ratio + widen * np.maximum(high - log_ratio, 0)),
        reference_seconds=float(np.exp(reference)),
    )


def _few_rounds(rounds: int) -> float:
    """What a percentile bootstrap of few rounds must be widened by to cover 95 %.

    Student's t over the normal quantile, to first order of the Cornish-Fisher expansion, and
    the bootstrap's missing n / (n - 1).
    """
    used = max(rounds - 2 * int(rounds * TRIM), 2)
    return (1 + 1.21 / (used - 1)) * math.sqrt(used / (used - 1))


def round_effects(logs: Array) -> Array:
    """(rounds,): how much slower each round was for all networks alike; their median is 0.

    Tukey's two-way median polish of (networks, rounds).
    """
    residual = logs - np.median(logs, axis=1, keepdims=True)
    effects = np.zeros(logs.shape[1])
    for _ in range(POLISH_SWEEPS):
        step = np.median(residual, axis=0)
        effects += step
        residual = residual - step
        residual = residual - np.median(residual, axis=1, keepdims=True)
    return _centred(effects)


def _centred(effects: Array) -> Array:
    centred: Array = effects - np.median(effects)
    return centred


def _trimmed_mean(values: Array) -> Array:
    """Mean over the last axis without the `TRIM` smallest and largest shares."""
    count = values.shape[-1]
    cut = int(count * TRIM)
    ordered = np.sort(values, axis=-1)
    mean: Array = ordered[..., cut : count - cut].mean(axis=-1)
    return mean


def preempted_share(wall: Array, cpu: Array) -> float:
    """Share of calls that waited for the processor: wall time above CPU time by 10 %."""
    return float((wall > 1.1 * cpu).mean())

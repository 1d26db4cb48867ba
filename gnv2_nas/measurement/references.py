"""The machine's speed for a network of any size, estimated from references of known ratio.

The model is a Gaussian process over `panel.position` with an unknown constant (ordinary kriging,
Matheron 1963; Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section
2.7). The constant is the overall speed of the machine. The process is the additional slowdown of
one size relative to another.
"""

from __future__ import annotations

import itertools
import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.stats.intervals import Z95, student_95

Array = NDArray[np.float64]

SESSION_SPREAD = 0.01
"""Default standard deviation, in logs, between sessions of a network."""
SIZE_SPREAD = 0.05
"""Default standard deviation, in logs, of the slowdown of one size relative to another."""
NETWORK_SPREAD = 0.003
"""Standard deviation, in logs, of a network relative to others of its size. It is the remaining
difference between processes of networks of 5 and 15 ms (`python -m benchmarks coverage`)."""
LENGTH_SCALE = 0.5
"""Length scale of the process over positions."""
BLOCKS = 8
"""Number of consecutive blocks of sessions. Neighbouring sessions are correlated, because a
disturbance lasts for seconds; blocks are nearly independent."""
LASTING = 0.5
"""Share of the size spread that lasts longer than a calibration: calibrations of one day differed
by that much (`python -m benchmarks coverage`)."""
PRIOR_WIDTH = 1.0
"""Standard deviation, in logs, of the prior of each spread."""
STEPS = (2.0, 1.4, 1.15, 1.05)
SWEEPS = 10
_JITTER = 1e-10


class Speeds(msgspec.Struct, frozen=True):
    """The machine's speed for each network, as weighted means over the references."""

    weights: Array
    """(networks, references); each row sums to 1."""
    variance: Array
    """(networks,) variance of the error, without that of the known ratios."""
    constant: Array
    """(references,) weights of the machine's overall speed."""


class PanelFigures(msgspec.Struct, frozen=True):
    """What a calibration finds out about the panel. Arrays are (panel,)."""

    log_ratios: Array
    covariance: Array
    """(panel, panel) covariance of the errors of `log_ratios`."""
    session_spreads: Array
    size_spread: float
    log_time: float
    """Log of the reference's seconds."""
    time_error: float
    """Standard error of `log_time`."""


def size_correlation(first: Array, second: Array) -> Array:
    """Return the (n, m) correlation of the slowdowns of networks at (n,) and (m,) positions."""
    return np.asarray(np.exp(-0.5 * ((first[:, None] - second) / LENGTH_SCALE) ** 2))


def widen_for_few(freedom: int) -> float:
    """Return Student's t over the normal quantile at 95 %: the factor by which to widen a standard
    error that has `freedom` degrees of freedom."""
    return student_95(freedom, terms=2) / Z95


def estimate_speeds(
    positions: Array, references: NDArray[np.intp], noise: Array, size_spread: float
) -> Speeds:
    """Return the best linear unbiased estimate.

    Args:
        positions: (networks,), see `panel.position`.
        references: rows of the networks whose ratio is known.
        noise: (references,) variance of each reference's measured time.
        size_spread: standard deviation of the process, in logs.
    """
    variance = size_spread**2
    theirs = positions[references]
    observed = variance * size_correlation(theirs, theirs) + np.diag(noise + _JITTER)
    wanted = variance * size_correlation(positions, theirs)
    inverse = np.linalg.inv(observed)
    ones = inverse.sum(axis=0)
    constant = ones / ones.sum()
    simple = wanted @ inverse
    weights = simple + (1 - simple.sum(axis=1))[:, None] * constant
    error = variance - 2 * (weights * wanted).sum(axis=1) + _quadratic(weights, observed)
    return Speeds(weights, error.clip(min=0.0), constant)


def calibration_error(weights: Array, covariance: Array, network_spread: float = 0.0) -> Array:
    """Return the (networks,) standard errors that more rounds do not reduce.

    Args:
        weights: see `Speeds`.
        covariance: (references, references) covariance of the errors of the known ratios.
        network_spread: standard deviation of the machine's effect on a single network; it applies
            to references as well.
    """
    alone = network_spread**2 * (1 + (weights**2).sum(axis=1))
    error: Array = np.sqrt(_quadratic(weights, covariance).clip(min=0.0) + alone)
    return error


def summarize_panel(
    levels: Array, noise: Array, positions: Array, references: list[int]
) -> PanelFigures:
    """Estimate ratios, spreads and their errors from many short sessions of the panel.

    Args:
        levels: (panel, sessions) logs of seconds.
        noise: (panel,) variance of a level caused by the noise of its rounds.
        positions: (panel,), see `panel.position`.
        references: rows of the reference network, which may occur more than once.
    """
    reference = levels[references].mean(axis=0)
    ratios = levels - reference
    means, covariance = _average_blocks(ratios)
    time, time_variance = _average_blocks(reference[None])
    spreads, size_spread = _fit_spreads(ratios - means[:, None], noise, positions)
    lasting = (LASTING * size_spread) ** 2
    covariance += lasting * _covariance_to_reference(positions, references[0])
    time_error = math.sqrt(time_variance[0, 0] + lasting)
    return PanelFigures(means, covariance, spreads, size_spread, float(time[0]), time_error)


def _quadratic(weights: Array, covariance: Array) -> Array:
    return np.asarray((weights @ covariance * weights).sum(axis=1))


def _average_blocks(values: Array) -> tuple[Array, Array]:
    """Return (n,) means over the sessions of (n, sessions) values, and their error covariance."""
    blocks = np.array_split(values, min(BLOCKS, values.shape[1]), axis=1)
    means = np.stack([block.mean(axis=1) for block in blocks], axis=1)
    count = len(blocks)
    if count < 2:
        return means[:, 0], np.eye(len(values))  # a single block says almost nothing
    widened = widen_for_few(count - 1) ** 2
    return means.mean(axis=1), widened * np.atleast_2d(np.cov(means)) / count


def _covariance_to_reference(positions: Array, reference: int) -> Array:
    """Return the (n, n) covariance, in units of the squared size spread, of the differences between
    each network and the reference."""
    alike = size_correlation(positions, positions)
    covariance: Array = (
        alike - alike[:, [reference]] - alike[[reference]] + alike[reference, reference]
    )
    return covariance


def _fit_spreads(deviations: Array, noise: Array, positions: Array) -> tuple[Array, float]:
    """Return the most likely spread of each network between sessions, and the size spread.

    This is the maximum a posteriori of independent sessions with covariance `size_spread`² ·
    correlation + diagonal, by coordinate descent. Contrasts remove what all networks share in a
    session.
    """
    networks, sessions = deviations.shape
    logs = np.log(np.array([*np.full(networks, SESSION_SPREAD), SIZE_SPREAD]))
    expected = logs.copy()
    if sessions < 2 or networks < 2:
        return np.exp(logs[:-1]), SIZE_SPREAD
    contrasts = np.linalg.qr(np.column_stack([np.ones(networks), np.eye(networks)[:, 1:]]))[0]
    contrasts = contrasts[:, 1:].T
    alike = contrasts @ size_correlation(positions, positions) @ contrasts.T
    scatter = contrasts @ (deviations @ deviations.T) @ contrasts.T

    def loss(logs: Array) -> float:
        own = (contrasts * (np.exp(2 * logs[:-1]) + noise)) @ contrasts.T
        covariance = own + math.exp(2 * logs[-1]) * alike
        _, determinant = np.linalg.slogdet(covariance)
        fit = (sessions - 1) * determinant + np.trace(np.linalg.solve(covariance, scatter))
        return float(fit + (((logs - expected) / PRIOR_WIDTH) ** 2).sum())

    least = loss(logs)
    for step, number in itertools.product(STEPS * SWEEPS, range(networks + 1)):
        for way in (math.log(step), -math.log(step)):
            moved = logs.copy()
            moved[number] += way
            if (found := loss(moved)) < least:
                logs, least = moved, found
    spreads: Array = np.exp(logs[:-1])
    return spreads, math.exp(logs[-1])

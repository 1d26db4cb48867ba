"""From many short sessions of the panel to what is kept of a device, with its errors."""

from __future__ import annotations

import itertools
import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.measurement.references import size_correlation
from gnv2_nas.measurement.statistics import SESSION_SPREAD, SIZE_SPREAD, few_observations

Array = NDArray[np.float64]

BLOCKS = 8
"""Sessions are cut, in order of time, into so many: what disturbs a machine lasts for seconds, so
sessions next to each other are no independent observations, but blocks nearly are."""
LASTING = 0.5
"""Share of what one size is slowed down more than another, and all are, that lasts longer than a
calibration: those of one day differed by so much (`python -m benchmarks coverage`)."""
PRIOR_WIDTH = 1.0
"""Standard deviation, in logs, of what a spread was expected to be around what it is."""
STEPS = (2.0, 1.4, 1.15, 1.05)
SWEEPS = 10


class PanelFigures(msgspec.Struct, frozen=True):
    """Arrays of (panel,)."""

    log_ratios: Array
    covariance: Array
    """(panel, panel) of the errors of `log_ratios`."""
    session_spreads: Array
    size_spread: float
    log_time: float
    """Of the reference, in seconds."""
    time_error: float
    """Standard error of `log_time`."""


def summarize_panel(
    levels: Array, noise: Array, positions: Array, references: list[int]
) -> PanelFigures:
    """What sessions of the panel say.

    Args:
        levels: (panel, sessions) logs of seconds.
        noise: (panel,) variance of a level from the noise of its rounds.
        positions: (panel,), see `panel.position`.
        references: rows of the reference network, which may be there more than once.
    """
    reference = levels[references].mean(axis=0)
    ratios = levels - reference
    means, covariance = _mean_of_blocks(ratios)
    time, time_variance = _mean_of_blocks(reference[None])
    spreads, size_spread = _fit_spreads(ratios - means[:, None], noise, positions)
    lasting = (LASTING * size_spread) ** 2
    covariance += lasting * _against_reference(positions, references[0])
    time_error = math.sqrt(time_variance[0, 0] + lasting)
    return PanelFigures(means, covariance, spreads, size_spread, float(time[0]), time_error)


def _mean_of_blocks(values: Array) -> tuple[Array, Array]:
    """(n,) means over sessions and (n, n) covariances of their errors, of (n, sessions)."""
    blocks = np.array_split(values, min(BLOCKS, values.shape[1]), axis=1)
    means = np.stack([block.mean(axis=1) for block in blocks], axis=1)
    count = len(blocks)
    if count < 2:
        return means[:, 0], np.eye(len(values))  # next to nothing is known
    widened = few_observations(count - 1) ** 2
    return means.mean(axis=1), widened * np.atleast_2d(np.cov(means)) / count


def _against_reference(positions: Array, reference: int) -> Array:
    """(n, n) covariance, in squares of the size spread, of how each differs from the reference."""
    alike = size_correlation(positions, positions)
    covariance: Array = (
        alike - alike[:, [reference]] - alike[[reference]] + alike[reference, reference]
    )
    return covariance


def _fit_spreads(deviations: Array, noise: Array, positions: Array) -> tuple[Array, float]:
    """Most likely spread of each network between sessions, and of one size against another.

    Maximum a posteriori of independent sessions, `size_spread`² · correlation + diagonal; what all
    networks share in a session is taken out before. One spread after the other is moved.
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

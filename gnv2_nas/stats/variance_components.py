"""Maximum-likelihood estimates of how much each part of a kernel contributes to the variance.

This is the MM algorithm of Zhou, Hu, Zhou & Sinsheimer ("MM algorithms for variance components
models", J. Comput. Graph. Stat. 28, 2019, eq. 5) without its square root: each step is twice as
long, so fewer are needed. The variance of a part that explains nothing tends to 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from gnv2_nas.stats.ridge import Matrix, Vector

Groups = NDArray[np.intp]

ITERATIONS = 30
CONVERGED = 0.02
"""The iteration ends when no part changes by more than this share of the variance."""
MAX_STEP = 4.0
MIN_NOISE = 1e-5
MIN_SHARE = 0.25
"""Lower bound relative to the mean of the parts: no group is ruled out with certainty."""


@dataclass(frozen=True)
class Components:
    """Variances of the parts of the kernel, for outcomes of variance 1."""

    groups: Vector
    """(g,) variances of the linear kernels of the groups of features."""
    interactions: float
    """Variance of the square of the sum of the linear kernels."""
    noise: float

    @classmethod
    def even(cls, groups: int) -> Components:
        """Return the starting point of the iteration."""
        return cls(np.full(groups, 0.6 / max(groups, 1)), 0.2, 0.2)

    @property
    def linear(self) -> float:
        return float(self.groups.sum())


def estimate_components(
    features: Matrix, groups: Groups, outcomes: Vector, start: Components
) -> Components:
    """Return the variances that maximize the likelihood of (n,) standardized outcomes.

    Args:
        features: (n, d), each group scaled to a mean square length of 1.
        groups: (d,) group of each column, from 0.
        outcomes: mean 0, variance 1.
        start: where the iteration begins.
    """
    components = start
    for _ in range(ITERATIONS):
        following = _step(features, groups, outcomes, components)
        moved = np.abs(following.groups - components.groups).max(initial=0.0)
        moved = max(moved, abs(following.interactions - components.interactions))
        moved = max(moved, abs(following.noise - components.noise))
        components = following
        if moved < CONVERGED * (components.linear + components.interactions + components.noise):
            break
    return components


def _scale_features(features: Matrix, groups: Groups, components: Components) -> Matrix:
    """Return features whose inner products are the linear part of the kernel."""
    result: Matrix = features * np.sqrt(components.groups)[groups]
    return result


def add_interactions(linear: Matrix, components: Components) -> Matrix:
    """Return the whole kernel without noise, from its linear part."""
    share = components.interactions / max(components.linear, 1e-12) ** 2
    result: Matrix = linear + share * linear**2
    return result


def _step(features: Matrix, groups: Groups, outcomes: Vector, components: Components) -> Components:
    """Multiply each variance by the ratio of its fit to the outcomes and its expected fit."""
    rows = _scale_features(features, groups, components)
    linear = rows @ rows.T
    covariance = add_interactions(linear, components)
    covariance[np.diag_indices_from(covariance)] += components.noise
    identity = np.eye(len(outcomes))
    inverse = cho_solve(cho_factor(covariance, check_finite=False), identity, check_finite=False)
    weights = inverse @ outcomes
    fits = _group_sums(groups, (features.T @ weights) ** 2)
    expected = _group_sums(groups, (features * (inverse @ features)).sum(axis=0))
    squares = linear**2
    parts = components.groups * _ratio(fits, expected)
    least = MIN_SHARE * max(parts.mean(), MIN_NOISE) if len(parts) else 0.0
    interactions = _ratio(weights @ squares @ weights, (inverse * squares).sum())
    noise = _ratio(weights @ weights, np.trace(inverse))
    return Components(
        groups=np.maximum(parts, least),
        interactions=float(np.clip(components.interactions * interactions, MIN_NOISE, 1.0)),
        noise=float(np.clip(components.noise * noise, MIN_NOISE, 1.0)),
    )


def _group_sums(groups: Groups, columns: Vector) -> Vector:
    sums: Vector = np.bincount(groups, columns).astype(np.float64)
    return sums


def _ratio(fits: Vector | float, expected: Vector | float) -> Vector:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(np.asarray(fits) / np.asarray(expected), nan=1.0, posinf=1.0)
    bounded: Vector = np.clip(ratio, 1 / MAX_STEP, MAX_STEP)
    return bounded

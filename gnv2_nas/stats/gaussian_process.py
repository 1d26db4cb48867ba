"""A Gaussian process of main effects and interactions with an estimated variance for each.

The kernel is a sum of linear kernels, one for each group of features (the levels of one parameter,
or one property of a network), plus the square of that sum, which models interactions of two groups
(`variance_components`). The separate variances matter with fifty outcomes and as many parameters:
parameters without an effect drop out, and strong effects are hardly shrunk. Mean and variance are
those of Rasmussen & Williams, "Gaussian Processes for Machine Learning" (2006), eq. 2.25 and 2.26.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from gnv2_nas.stats.ridge import Matrix, Vector
from gnv2_nas.stats.variance_components import (
    Components,
    Groups,
    add_interactions,
    estimate_components,
)

MAX_FITTED = 256
"""Maximum number of outcomes for the estimate of the variances; a step is cubic in it."""


@dataclass(frozen=True)
class GaussianProcess:
    """A process fitted to n outcomes by `fit_gaussian_process`."""

    scales: Vector
    """(d,) factors of the features."""
    rows: Matrix
    """(n, d) scaled features of the outcomes."""
    components: Components
    factor: Matrix
    """(n, n) lower Cholesky factor of the outcomes' covariance."""
    weights: Vector
    """(n,) inverse covariance times the standardized outcomes."""
    outcomes: Vector
    """(n,)"""
    subset: Groups | slice
    """At most `MAX_FITTED` outcomes, used for deviations where all would take too long."""
    subset_factor: Matrix
    """Cholesky factor of the covariance of that subset."""

    @property
    def centre(self) -> float:
        return float(self.outcomes.mean())

    @property
    def spread(self) -> float:
        return _spread(self.outcomes)

    @property
    def noise(self) -> float:
        """Standard deviation of an outcome around its expected value."""
        return float(np.sqrt(self.components.noise) * self.spread)

    @property
    def fitted(self) -> Vector:
        """(n,) outcomes without their noise: the expected values at their features."""
        result: Vector = self.outcomes - self.components.noise * self.spread * self.weights
        return result

    def mean(self, features: Matrix) -> Vector:
        """Return (m,) expected outcomes at (m, d) features."""
        return self._mean(self._covariances(features * self.scales))

    def mean_and_std(self, features: Matrix) -> tuple[Vector, Vector]:
        """Return (m,) expected values and their standard deviations, without the noise.

        Deviations use at most `MAX_FITTED` outcomes, so they are slightly too large for more. Using
        all would cost the square of their number for each row.
        """
        rows = features * self.scales
        covariances = self._covariances(rows)
        own = add_interactions((rows**2).sum(axis=1), self.components)
        variances = own - (_solve(self.subset_factor, covariances[:, self.subset].T) ** 2).sum(
            axis=0
        )
        return self._mean(covariances), np.sqrt(np.maximum(variances, 0)) * self.spread

    def leave_one_out(self) -> tuple[Vector, Vector]:
        """Return (n,) leave-one-out residuals of the outcomes and their standard deviations.

        Rasmussen & Williams, eq. 5.12.
        """
        half = solve_triangular(
            self.factor, np.eye(len(self.factor)), lower=True, check_finite=False
        )
        precisions = (half**2).sum(axis=0)
        return self.weights / precisions * self.spread, self.spread / np.sqrt(precisions)

    def draws(self, features: Matrix, normal: Matrix) -> Matrix:
        """Return (s, m) samples of the process at (m, d) features, from (s, m) normal deviates."""
        rows = features * self.scales
        covariances = self._covariances(rows)
        explained = _solve(self.factor, covariances.T)
        left = add_interactions(rows @ rows.T, self.components) - explained.T @ explained
        result: Matrix = self._mean(covariances) + normal @ _root(left) * self.spread
        return result

    def _covariances(self, rows: Matrix) -> Matrix:
        return add_interactions(rows @ self.rows.T, self.components)

    def _mean(self, covariances: Matrix) -> Vector:
        result: Vector = covariances @ self.weights * self.spread + self.centre
        return result


def fit_gaussian_process(
    features: Matrix, groups: Groups, outcomes: Vector, start: Components | None = None
) -> GaussianProcess:
    """Fit a process to (n,) outcomes at (n, d) features.

    Args:
        features: centred features; columns of one group have similar scales.
        groups: (d,) group of each column, from 0.
        outcomes: values to fit.
        start: components of an earlier fit with the same groups, as a starting point.
    """
    standardized = (outcomes - outcomes.mean()) / _spread(outcomes)
    sizes = _group_sizes(features, groups)
    chosen = _select_fitted(len(outcomes))
    components = estimate_components(
        features[chosen] / sizes,
        groups,
        standardized[chosen],
        start or Components.even(int(groups.max(initial=-1)) + 1),
    )
    scales = np.sqrt(components.groups)[groups] / sizes
    rows = features * scales
    covariance = add_interactions(rows @ rows.T, components)
    covariance[np.diag_indices_from(covariance)] += components.noise
    factor = cholesky(covariance, lower=True, check_finite=False)
    weights = solve_triangular(
        factor, _solve(factor, standardized), lower=True, trans=1, check_finite=False
    )
    subset_factor = factor
    if len(outcomes) > MAX_FITTED:
        subset_factor = cholesky(covariance[chosen][:, chosen], lower=True, check_finite=False)
    return GaussianProcess(
        scales, rows, components, factor, weights, outcomes, chosen, subset_factor
    )


def _solve(factor: Matrix, columns: Matrix) -> Matrix:
    """Return L⁻¹ · columns."""
    solved: Matrix = solve_triangular(factor, columns, lower=True, check_finite=False)
    return solved


def _spread(outcomes: Vector) -> float:
    """Return the standard deviation; 1 if all outcomes are equal up to rounding."""
    spread = float(outcomes.std())
    return spread if spread > 1e-12 * float(np.abs(outcomes).max()) else 1.0


def _group_sizes(features: Matrix, groups: Groups) -> Vector:
    """Return (d,) root mean square lengths of the groups of the columns."""
    squares = np.bincount(groups, (features**2).mean(axis=0))
    result: Vector = np.sqrt(np.where(squares > 1e-12, squares, 1.0))[groups]
    return result


def _select_fitted(number: int) -> slice | Groups:
    """Select the outcomes to estimate the components from: the last ones and some earlier ones."""
    if number <= MAX_FITTED:
        return slice(None)
    half = MAX_FITTED // 2
    early = np.linspace(0, number - half - 1, MAX_FITTED - half)
    return np.concatenate([np.round(early).astype(np.intp), np.arange(number - half, number)])


def _root(covariance: Matrix) -> Matrix:
    """Return an upper triangle R with RᵀR = covariance, which may be singular up to rounding."""
    size = max(float(np.trace(covariance)) / max(len(covariance), 1), 1e-12)
    for jitter in (1e-9, 1e-6, 1e-3):
        try:
            root: Matrix = cholesky(
                covariance + jitter * size * np.eye(len(covariance)), check_finite=False
            )
        except np.linalg.LinAlgError:
            continue
        return root
    return np.diag(np.sqrt(np.maximum(np.diag(covariance), 0)))

"""A Gaussian process of main effects and interactions, each as important as the data say.

Its kernel is a linear one for each group of features (the levels of one parameter, or one property
of a network), and the square of their sum, which stands for interactions of two
(`variance_components`). With fifty outcomes and as many parameters it matters that a parameter of
no effect is left out and one of great effect hardly shrunk. Mean and variance: Rasmussen &
Williams, "Gaussian Processes for Machine Learning" (2006), eq. 2.25 and 2.26.
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
"""Importances are estimated from so many outcomes at most: a step is cubic in their number."""


@dataclass(frozen=True)
class GaussianProcess:
    """A fitted process of n outcomes; `fit_gaussian_process` makes it."""

    scales: Vector
    """(d,) what features are multiplied by."""
    rows: Matrix
    """(n, d) features of the outcomes, scaled."""
    components: Components
    factor: Matrix
    """(n, n) lower Cholesky factor of the covariance of the outcomes."""
    weights: Vector
    """(n,) inverse covariance times the standardised outcomes."""
    outcomes: Vector
    """(n,)"""
    some: Groups | slice
    """Outcomes, at most `MAX_FITTED`, that stand for all where all would take too long."""
    some_factor: Matrix
    """Cholesky factor of the covariance of those."""

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
        """(n,) expected values where the outcomes are: they without their noise."""
        result: Vector = self.outcomes - self.components.noise * self.spread * self.weights
        return result

    def mean(self, features: Matrix) -> Vector:
        """(m,) expected outcomes of (m, d) features."""
        return self._mean(self._covariances(features * self.scales))

    def mean_and_std(self, features: Matrix) -> tuple[Vector, Vector]:
        """(m,) expected values and their standard deviations, noise of an outcome left out.

        The deviations are those that `MAX_FITTED` outcomes leave: exact for as many, a little too
        large for more. All would cost their number squared for each row.
        """
        rows = features * self.scales
        covariances = self._covariances(rows)
        own = add_interactions((rows**2).sum(axis=1), self.components)
        variances = own - (_solved(self.some_factor, covariances[:, self.some].T) ** 2).sum(axis=0)
        return self._mean(covariances), np.sqrt(np.maximum(variances, 0)) * self.spread

    def leave_one_out(self) -> tuple[Vector, Vector]:
        """(n,) outcomes less what the others say of them, and the standard deviations of that.

        Rasmussen & Williams, eq. 5.12.
        """
        half = solve_triangular(
            self.factor, np.eye(len(self.factor)), lower=True, check_finite=False
        )
        precisions = (half**2).sum(axis=0)
        return self.weights / precisions * self.spread, self.spread / np.sqrt(precisions)

    def draws(self, features: Matrix, normal: Matrix) -> Matrix:
        """(s, m) drawn functions at (m, d) features, made from (s, m) normal numbers."""
        rows = features * self.scales
        covariances = self._covariances(rows)
        explained = _solved(self.factor, covariances.T)
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
    """The process of (n,) outcomes at (n, d) features.

    Args:
        features: centred; columns of one group are of comparable size.
        groups: (d,) number of the group of each column, from 0.
        start: components of an earlier fit with the same groups, to go on from.
    """
    standardised = (outcomes - outcomes.mean()) / _spread(outcomes)
    sizes = _sizes(features, groups)
    chosen = _spread_out(len(outcomes))
    components = estimate_components(
        features[chosen] / sizes,
        groups,
        standardised[chosen],
        start or Components.even(int(groups.max(initial=-1)) + 1),
    )
    scales = np.sqrt(components.groups)[groups] / sizes
    rows = features * scales
    covariance = add_interactions(rows @ rows.T, components)
    covariance[np.diag_indices_from(covariance)] += components.noise
    factor = cholesky(covariance, lower=True, check_finite=False)
    weights = solve_triangular(
        factor, _solved(factor, standardised), lower=True, trans=1, check_finite=False
    )
    some_factor = factor
    if len(outcomes) > MAX_FITTED:
        some_factor = cholesky(covariance[chosen][:, chosen], lower=True, check_finite=False)
    return GaussianProcess(scales, rows, components, factor, weights, outcomes, chosen, some_factor)


def _solved(factor: Matrix, columns: Matrix) -> Matrix:
    """L⁻¹ · columns."""
    solved: Matrix = solve_triangular(factor, columns, lower=True, check_finite=False)
    return solved


def _spread(outcomes: Vector) -> float:
    """Their standard deviation; 1 when all are the same but for rounding."""
    spread = float(outcomes.std())
    return spread if spread > 1e-12 * float(np.abs(outcomes).max()) else 1.0


def _sizes(features: Matrix, groups: Groups) -> Vector:
    """(d,) root of the mean square length of each column's group."""
    squares = np.bincount(groups, (features**2).mean(axis=0))
    result: Vector = np.sqrt(np.where(squares > 1e-12, squares, 1.0))[groups]
    return result


def _spread_out(number: int) -> slice | Groups:
    """Which outcomes the components are estimated from: all, or the last and some earlier ones."""
    if number <= MAX_FITTED:
        return slice(None)
    half = MAX_FITTED // 2
    early = np.linspace(0, number - half - 1, MAX_FITTED - half)
    return np.concatenate([np.round(early).astype(np.intp), np.arange(number - half, number)])


def _root(covariance: Matrix) -> Matrix:
    """An upper triangle R with RᵀR = covariance, which rounding may have made singular."""
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

"""One model for each outcome of a trial, that is each objective (as a loss) and constraint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.sampler.encoders import Columns
from gnv2_nas.stats.gaussian_process import GaussianProcess, fit_gaussian_process
from gnv2_nas.stats.ridge import Matrix, Vector
from gnv2_nas.stats.variance_components import Components, Groups

LOG_SCALE_RATIO = 1.5
"""Try a logarithmic scale if the largest outcome is at least this multiple of the smallest."""
REFIT_SCALE_UNTIL = 128
"""Number of outcomes up to which each fit chooses the scale anew."""
OUTLIER = 6.0
"""Outcomes are clipped at this many robust standard deviations from the median."""


@dataclass(frozen=True)
class OutcomeModel:
    """A Gaussian process of one outcome or of its logarithm."""

    process: GaussianProcess
    sign: float
    """0 for the outcome itself; for the logarithm of its size, the sign of all outcomes."""
    log_density: float
    """Sum of the leave-one-out log densities of the outcomes."""

    def mean(self, features: Matrix) -> Vector:
        """(m,) medians of the outcome."""
        mean = self.process.mean(features)
        return self.sign * np.exp(mean) if self.sign else mean

    def mean_and_std(self, features: Matrix) -> tuple[Vector, Vector]:
        """(m,) medians and standard deviations of the outcome without noise.

        The deviations may be slightly too large, see `GaussianProcess.mean_and_std`.
        """
        mean, std = self.process.mean_and_std(features)
        if not self.sign:
            return mean, std
        median = np.exp(mean)
        return self.sign * median, median * std

    def draws(self, features: Matrix, normal: Matrix) -> Matrix:
        """(s, m) draws from the posterior, made of (s, m) standard normal numbers."""
        drawn = self.process.draws(features, normal)
        return self.sign * np.exp(drawn) if self.sign else drawn

    @property
    def fitted(self) -> Vector:
        """(n,) posterior medians at the training points."""
        fitted = self.process.fitted
        return self.sign * np.exp(fitted) if self.sign else fitted


@dataclass(frozen=True)
class WarmStart:
    """The parts of an earlier fit that the next one starts from."""

    components: Components
    sign: float


def fit_outcome_model(
    features: Matrix, groups: Groups, outcomes: Vector, before: WarmStart | None = None
) -> OutcomeModel:
    """Fit a model to (n,) finite outcomes, on the scale that predicts them better.

    Args:
        before: from a model of fewer of these outcomes.
    """
    outcomes = _clip_outliers(outcomes)
    sign = _common_sign(outcomes)
    settled = (
        before is not None and len(outcomes) > REFIT_SCALE_UNTIL and bool(before.sign) <= bool(sign)
    )
    scales = (0.0, sign) if sign else (0.0,)
    if settled and before is not None:
        scales = (sign if before.sign else 0.0,)
    fits = [_fit_on_scale(features, groups, outcomes, scale, before) for scale in scales]
    return max(fits, key=lambda model: model.log_density)


def _fit_on_scale(
    features: Matrix,
    groups: Groups,
    outcomes: Vector,
    sign: float,
    before: WarmStart | None,
) -> OutcomeModel:
    values = np.log(np.abs(outcomes)) if sign else outcomes
    same = before is not None and bool(before.sign) == bool(sign)
    start = before.components if before is not None and same else None
    process = fit_gaussian_process(features, groups, values, start)
    residuals, deviations = process.leave_one_out()
    density = -0.5 * float(((residuals / deviations) ** 2 + 2 * np.log(deviations)).sum())
    # The change of variables adds the log of its derivative to the log density.
    return OutcomeModel(process, sign, density - (float(values.sum()) if sign else 0.0))


def _common_sign(outcomes: Vector) -> float:
    """The common sign of all outcomes if a logarithmic scale is worth trying, else 0."""
    if not (np.all(outcomes > 0) or np.all(outcomes < 0)):
        return 0.0
    sizes = np.abs(outcomes)
    return float(np.sign(outcomes[0])) if sizes.max() > LOG_SCALE_RATIO * sizes.min() else 0.0


def _clip_outliers(outcomes: Vector) -> Vector:
    middle = np.median(outcomes)
    deviation = 1.4826 * np.median(np.abs(outcomes - middle))
    if deviation == 0:
        return outcomes
    bound = OUTLIER * deviation
    result: Vector = np.clip(outcomes, middle - bound, middle + bound)
    return result


class OutcomeModels:
    """Models of several outcomes, each on the feature set that predicts it best.

    Args:
        groups: (d,) group of each feature, from 0.
        feature_sets: sets of columns to choose from.
    """

    def __init__(self, groups: Groups, feature_sets: Sequence[Columns]) -> None:
        self._feature_sets = feature_sets
        self._groups = [
            np.unique(groups[columns], return_inverse=True)[1] for columns in feature_sets
        ]
        self._before: list[list[WarmStart | None]] = []
        self._chosen: list[tuple[Columns, OutcomeModel]] = []

    def fit(self, features: Matrix, outcomes: Matrix) -> None:
        """Fit to (n, o) outcomes at (n, d) features; each column has at least two known values."""
        if len(self._before) != outcomes.shape[1]:
            self._before = [[None] * len(self._feature_sets) for _ in outcomes.T]
        self._chosen = []
        for column, before in zip(outcomes.T, self._before, strict=True):
            known = np.isfinite(column)
            fits = [
                fit_outcome_model(features[known][:, columns], groups, column[known], earlier)
                for columns, groups, earlier in zip(
                    self._feature_sets, self._groups, before, strict=True
                )
            ]
            before[:] = [WarmStart(each.process.components, each.sign) for each in fits]
            best = max(range(len(fits)), key=lambda columns: fits[columns].log_density)
            self._chosen.append((self._feature_sets[best], fits[best]))

    def forget(self) -> None:
        """Drop everything that grows with the outcomes; keep what the next fit starts from."""
        self._chosen = []

    def fitted(self, outcomes: Matrix) -> Matrix:
        """(n, o) outcomes without noise, as the models see them."""
        result = outcomes.copy()
        for column, (_, model) in enumerate(self._chosen):
            result[np.isfinite(outcomes[:, column]), column] = model.fitted
        return result

    def mean(self, features: Matrix) -> Matrix:
        """(m, o) medians."""
        return np.column_stack(
            [model.mean(features[:, columns]) for columns, model in self._chosen]
        )

    def mean_and_std(self, features: Matrix) -> tuple[Matrix, Matrix]:
        """(m, o) medians and standard deviations."""
        pairs = [model.mean_and_std(features[:, columns]) for columns, model in self._chosen]
        means, stds = zip(*pairs, strict=True)
        return np.column_stack(means), np.column_stack(stds)

    def draws(self, features: Matrix, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """(count, m, o) draws from the posterior, without noise."""
        normal = rng.standard_normal((len(self._chosen), count, len(features)))
        drawn = [
            model.draws(features[:, columns], numbers)
            for (columns, model), numbers in zip(self._chosen, normal, strict=True)
        ]
        return np.stack(drawn, axis=2)

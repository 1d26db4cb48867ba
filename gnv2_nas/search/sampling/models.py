"""One model for each outcome of a trial: its objectives as losses, and its constraints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.regression import Matrix, Vector
from gnv2_nas.regression.gaussian_process import GaussianProcess, fit_gaussian_process
from gnv2_nas.regression.variance_components import Components, Groups

WORTH_A_LOGARITHM = 1.5
"""Largest over smallest outcome from which on a logarithm may describe them better."""
OUTLIER = 6.0
"""Outcomes further from the median than this many (robust) deviations count as that far."""


@dataclass(frozen=True)
class OutcomeModel:
    """A Gaussian process of one outcome, perhaps of its logarithm."""

    process: GaussianProcess
    sign: float
    """0 for the outcome itself; else the sign of the outcomes, whose size has the logarithm."""

    def mean_and_std(self, features: Matrix) -> tuple[Vector, Vector]:
        """(m,) medians of the outcome and its standard deviations, noise left out."""
        mean, std = self.process.mean_and_std(features)
        if not self.sign:
            return mean, std
        median = np.exp(mean)
        return self.sign * median, median * std

    def draws(self, features: Matrix, normal: Matrix) -> Matrix:
        """(s, m) possible values, from (s, m) normal numbers."""
        drawn = self.process.draws(features, normal)
        return self.sign * np.exp(drawn) if self.sign else drawn

    @property
    def fitted(self) -> Vector:
        """(n,) outcomes that it was fitted to, without their noise."""
        fitted = self.process.fitted
        return self.sign * np.exp(fitted) if self.sign else fitted

    @property
    def noise(self) -> float:
        """Of an outcome; relative to its size where the logarithm is modelled."""
        return self.process.noise


def fit_outcome_model(
    features: Matrix, groups: Groups, outcomes: Vector, before: OutcomeModel | None = None
) -> OutcomeModel:
    """The model of (n,) finite outcomes, in the scale that predicts them better.

    Args:
        before: the model of fewer of these outcomes, to go on from.
    """
    outcomes = _without_outliers(outcomes)
    sign = _common_sign(outcomes)
    scales = {0.0: outcomes} | ({sign: np.log(np.abs(outcomes))} if sign else {})
    fits = [
        OutcomeModel(fit_gaussian_process(features, groups, values, _start(before, scale)), scale)
        for scale, values in scales.items()
    ]
    return max(fits, key=lambda model: _log_density(model, outcomes))


def _start(before: OutcomeModel | None, sign: float) -> Components | None:
    same = before is not None and bool(before.sign) == bool(sign)
    return before.process.components if before is not None and same else None


def _common_sign(outcomes: Vector) -> float:
    """The sign that all outcomes share, if they differ enough for a logarithm; else 0."""
    if not (np.all(outcomes > 0) or np.all(outcomes < 0)):
        return 0.0
    sizes = np.abs(outcomes)
    return float(np.sign(outcomes[0])) if sizes.max() > WORTH_A_LOGARITHM * sizes.min() else 0.0


def _without_outliers(outcomes: Vector) -> Vector:
    middle = np.median(outcomes)
    deviation = 1.4826 * np.median(np.abs(outcomes - middle))
    if deviation == 0:
        return outcomes
    bound = OUTLIER * deviation
    result: Vector = np.clip(outcomes, middle - bound, middle + bound)
    return result


def _log_density(model: OutcomeModel, outcomes: Vector) -> float:
    """Of each outcome given the others, summed: how well the model predicts what it did not see."""
    residuals, deviations = model.process.leave_one_out()
    density = -0.5 * float(((residuals / deviations) ** 2 + 2 * np.log(deviations)).sum())
    return density - (float(np.log(np.abs(outcomes)).sum()) if model.sign else 0.0)


class OutcomeModels:
    """Models of k losses and c constraints, each fitted to the trials where it is known."""

    def __init__(self) -> None:
        self.models: list[OutcomeModel] = []

    def fit(self, features: Matrix, groups: Groups, outcomes: Matrix) -> None:
        """Fit to (n, k + c) outcomes at (n, d) features; NaN is unknown."""
        before: Sequence[OutcomeModel | None] = self.models or [None] * outcomes.shape[1]
        if len(before) != outcomes.shape[1]:
            before = [None] * outcomes.shape[1]
        self.models = []
        for column, earlier in zip(outcomes.T, before, strict=True):
            known = np.isfinite(column)
            self.models.append(fit_outcome_model(features[known], groups, column[known], earlier))

    def mean_and_std(self, features: Matrix) -> tuple[Matrix, Matrix]:
        """(m, k + c) each."""
        pairs = [model.mean_and_std(features) for model in self.models]
        means, stds = zip(*pairs, strict=True)
        return np.column_stack(means), np.column_stack(stds)

    def draws(self, features: Matrix, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """(count, m, k + c) outcomes that could be, noise left out."""
        normal = rng.standard_normal((len(self.models), count, len(features)))
        drawn = [
            model.draws(features, numbers)
            for model, numbers in zip(self.models, normal, strict=True)
        ]
        return np.stack(drawn, axis=2)

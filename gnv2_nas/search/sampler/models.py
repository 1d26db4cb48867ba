"""One model for each outcome of a trial, that is each objective (as a loss) and constraint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.sampler.encoders import FeatureSet
from gnv2_nas.stats.gaussian_process import GaussianProcess, fit_gaussian_process
from gnv2_nas.stats.ridge import Matrix, Vector
from gnv2_nas.stats.variance_components import Components

LOG_SCALE_RATIO = 1.5
"""Try a logarithmic scale if the largest outcome is at least this multiple of the smallest."""
REFIT_SCALE_UNTIL = 128
"""Number of outcomes up to which each fit chooses the scale anew."""
THEORY_ODDS = 10.0
"""Log odds of a model with an offset before any outcome is known. Leave-one-out densities of some
dozen outcomes differ by up to 7 for models that predict equally well."""
OUTLIER = 6.0
"""Outcomes are clipped at this many robust standard deviations from the median."""


@dataclass(frozen=True)
class Scale:
    """The scale on which an outcome is modelled."""

    sign: float = 0.0
    """0 for the outcome itself; for the logarithm of its distance from -`shift`, the sign of all
    distances."""
    shift: float = 0.0

    def modelled(self, outcomes: Vector) -> Vector:
        return np.log(np.abs(outcomes + self.shift)) if self.sign else outcomes

    def outcomes(self, modelled: Matrix) -> Matrix:
        return self.sign * np.exp(modelled) - self.shift if self.sign else modelled


@dataclass(frozen=True)
class OutcomeModel:
    """A Gaussian process of one outcome or of its logarithm."""

    process: GaussianProcess
    features: FeatureSet
    scale: Scale
    log_density: float
    """Sum of the leave-one-out log densities of the outcomes, and the model's log odds before."""
    fitted: Vector
    """(n,) posterior medians at the training points, those of others left out."""

    def mean(self, features: Matrix) -> Vector:
        """(m,) medians of the outcome."""
        mean = self.process.mean(features[:, self.features.columns])
        return self.scale.outcomes(mean + self.features.offsets(features))

    def mean_and_std(self, features: Matrix) -> tuple[Vector, Vector]:
        """(m,) medians and standard deviations of the outcome without noise.

        The deviations may be slightly too large, see `GaussianProcess.mean_and_std`.
        """
        mean, std = self.process.mean_and_std(features[:, self.features.columns])
        median = self.scale.outcomes(mean + self.features.offsets(features))
        return median, std * np.abs(median + self.scale.shift) if self.scale.sign else std

    def draws(self, features: Matrix, normal: Matrix) -> Matrix:
        """(s, m) draws from the posterior, made of (s, m) standard normal numbers."""
        drawn = self.process.draws(features[:, self.features.columns], normal)
        return self.scale.outcomes(drawn + self.features.offsets(features))


@dataclass(frozen=True)
class WarmStart:
    """The parts of an earlier fit that the next one starts from."""

    components: Components
    scale: Scale


def fit_outcome_model(
    features: Matrix,
    outcomes: Vector,
    using: FeatureSet,
    shift: float = 0.0,
    before: WarmStart | None = None,
    others: int = 0,
) -> OutcomeModel | None:
    """Fit a model to (n,) finite outcomes, on the scale that predicts them better.

    Args:
        features: (n, d) all features.
        outcomes: to fit.
        using: those of the features that the model sees.
        shift: of a logarithmic scale.
        before: from a model of fewer of these outcomes.
        others: number of outcomes, the first ones, that the model need not predict.

    Returns:
        None if the features have an offset and the outcomes no common sign.
    """
    outcomes = _clip_outliers(outcomes, outcomes[others:])
    scales = _scales(outcomes + shift, shift, using)
    if before is not None and len(outcomes) > REFIT_SCALE_UNTIL and before.scale in scales:
        scales = [before.scale]
    fits = [_fit_on_scale(features, outcomes, using, scale, before, others) for scale in scales]
    return max(fits, key=lambda model: model.log_density, default=None)


def _fit_on_scale(
    features: Matrix,
    outcomes: Vector,
    using: FeatureSet,
    scale: Scale,
    before: WarmStart | None,
    others: int,
) -> OutcomeModel:
    values, offsets = scale.modelled(outcomes), using.offsets(features)
    start = before.components if before is not None and before.scale == scale else None
    rows = features[:, using.columns]
    process = fit_gaussian_process(rows, using.groups, values - offsets, start)
    residuals, deviations = (each[others:] for each in process.leave_one_out())
    density = -0.5 * float(((residuals / deviations) ** 2 + 2 * np.log(deviations)).sum())
    # The change of variables adds the log of its derivative to the log density.
    density -= float(values[others:].sum()) if scale.sign else 0.0
    density += THEORY_ODDS if using.offset is not None else 0.0
    fitted = scale.outcomes(process.fitted + offsets)
    return OutcomeModel(process, using, scale, density, fitted[others:])


def _scales(shifted: Vector, shift: float, using: FeatureSet) -> list[Scale]:
    """The scales to try for outcomes that were shifted."""
    if using.offset is not None:
        return [Scale(1.0, shift)] if np.all(shifted > 0) else []
    sizes = np.abs(shifted)
    varies = sizes.max() > LOG_SCALE_RATIO * sizes.min()
    one_sign = np.all(shifted > 0) or np.all(shifted < 0)
    return [Scale(), Scale(float(np.sign(shifted[0])), shift)] if varies and one_sign else [Scale()]


def _warm_start(model: OutcomeModel | None) -> WarmStart | None:
    return None if model is None else WarmStart(model.process.components, model.scale)


def _clip_outliers(outcomes: Vector, usual: Vector) -> Vector:
    middle = np.median(usual)
    deviation = 1.4826 * np.median(np.abs(usual - middle))
    if deviation == 0:
        return outcomes
    bound = OUTLIER * deviation
    result: Vector = np.clip(outcomes, middle - bound, middle + bound)
    return result


class OutcomeModels:
    """Models of several outcomes, each on the feature set that predicts it best.

    Args:
        feature_sets: to choose from; at least one has no offset.
    """

    def __init__(self, feature_sets: Sequence[FeatureSet]) -> None:
        self._feature_sets = feature_sets
        self._before: list[list[WarmStart | None]] = []
        self._chosen: list[OutcomeModel] = []

    def fit(
        self,
        features: Matrix,
        outcomes: Matrix,
        shifts: Vector,
        other_features: Matrix,
        other_outcomes: Matrix,
    ) -> None:
        """Fit to (n, o) outcomes at (n, d) features; each column has at least two known values.

        Args:
            features: of all feature sets.
            outcomes: NaN where unknown.
            shifts: (o,) `Scale.shift` of each outcome.
            other_features: (p, d) of networks that were evaluated elsewhere.
            other_outcomes: (p, o). They are used where they help to predict `outcomes`.
        """
        if len(self._before) != outcomes.shape[1]:
            self._before = [[None] * (len(self._feature_sets) + 1) for _ in outcomes.T]
        self._chosen = []
        for column, other, shift, before in zip(
            outcomes.T, other_outcomes.T, shifts.tolist(), self._before, strict=True
        ):
            known, more = np.isfinite(column), np.isfinite(other)
            fits = [
                fit_outcome_model(features[known], column[known], using, shift, earlier)
                for using, earlier in zip(self._feature_sets, before, strict=False)
            ]
            best = max((each for each in fits if each), key=lambda model: model.log_density)
            wider = more.any() and fit_outcome_model(
                np.vstack([other_features[more], features[known]]),
                np.concatenate([other[more], column[known]]),
                best.features, shift, before[-1], others=int(more.sum()),
            )  # fmt: skip
            before[:] = map(_warm_start, [*fits, wider or None])
            if wider and wider.log_density > best.log_density:
                best = wider
            self._chosen.append(best)

    def forget(self) -> None:
        """Drop everything that grows with the outcomes; keep what the next fit starts from."""
        self._chosen = []

    def fitted(self, outcomes: Matrix) -> Matrix:
        """(n, o) outcomes without noise, as the models see them."""
        result = outcomes.copy()
        for column, model in enumerate(self._chosen):
            result[np.isfinite(outcomes[:, column]), column] = model.fitted
        return result

    def mean(self, features: Matrix) -> Matrix:
        """(m, o) medians."""
        return np.column_stack([model.mean(features) for model in self._chosen])

    def mean_and_std(self, features: Matrix) -> tuple[Matrix, Matrix]:
        """(m, o) medians and standard deviations."""
        pairs = [model.mean_and_std(features) for model in self._chosen]
        means, stds = zip(*pairs, strict=True)
        return np.column_stack(means), np.column_stack(stds)

    def draws(self, features: Matrix, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """(count, m, o) draws from the posterior, without noise."""
        normal = rng.standard_normal((len(self._chosen), count, len(features)))
        drawn = [
            model.draws(features, numbers)
            for model, numbers in zip(self._chosen, normal, strict=True)
        ]
        return np.stack(drawn, axis=2)

"""The latency model: a prediction with an error bar, and its held-out error.

The model is a ridge regression of the log of a network's time relative to stock GhostNetV2 1.0. The
log of the theoretical cost has coefficient 1. The ridge learns a correction from the share of each
kind of work, see `latency_features`. A network unlike all measured ones therefore gets the
theoretical prediction, with a wide error bar.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError
from gnv2_nas.graph import Graph, count_graph, lower
from gnv2_nas.latency_model.features import correction_features, latency_features
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.stats.intervals import Z95
from gnv2_nas.stats.rank_agreement import kendall_tau
from gnv2_nas.stats.ridge import (
    FitAndPredict,
    Matrix,
    Numbers,
    Ridge,
    Vector,
    fit_ridge,
    folds,
    predict_held_out,
)

MIN_FOR_TAU = 4


class LatencyError(msgspec.Struct, frozen=True):
    """The held-out error of one way to predict."""

    name: str
    error: float
    """Mean absolute error relative to the measurement; 0.03 is 3 %."""
    tau: float | None = None
    """Kendall's τ between predictions and measurements; None if they give no order."""


def log_ratios(measurements: Sequence[Measurement]) -> Vector:
    """Return (n,) logs of the ratios to the reference."""
    return np.log([each.ratio for each in measurements])


def log_errors(measurements: Sequence[Measurement]) -> Vector:
    """Return (n,) standard errors of `log_ratios`, from the measurements' own intervals."""
    low, high = np.log([each.own_ci95() for each in measurements]).T
    result: Vector = (high - low) / (2 * Z95)
    return result


def noise_floor(measurements: Sequence[Measurement]) -> float:
    """Return the error that a perfect model would show because of measurement noise: the mean
    absolute value of normal noise as wide as the intervals."""
    return math.sqrt(2 / math.pi) * float(log_errors(measurements).mean())


def latency_error(name: str, predicted: Vector, measured: Vector) -> LatencyError:
    """Return the error of (n,) predicted logs; NaN entries are left out."""
    seen = ~np.isnan(predicted)
    guess, actual = predicted[seen], measured[seen]
    tau = kendall_tau(guess.tolist(), actual.tolist()) if len(actual) >= MIN_FOR_TAU else math.nan
    error = float(np.abs(np.expm1(guess - actual)).mean())
    return LatencyError(name, error, None if math.isnan(tau) else tau)


def baseline_errors(
    parts: Sequence[Numbers], macs: Sequence[int], measured: Vector
) -> tuple[LatencyError, ...]:
    """Return the errors of the mean and of multiply-adds alone, held out in the same parts."""
    rows = np.log(np.array(macs, np.float64))[:, None]
    constant = predict_held_out(
        parts, len(measured), lambda known, others: np.full(len(others), measured[known].mean())
    )
    by_macs = predict_held_out(parts, len(measured), _ridge_of(rows, measured))
    return (
        # Held-out means are anti-correlated with the held-out values: a rank correlation would
        # mean nothing.
        msgspec.structs.replace(latency_error("constant", constant, measured), tau=None),
        latency_error("multiply-adds alone", by_macs, measured),
    )


def _ridge_of(rows: Matrix, outcomes: Vector) -> FitAndPredict:
    def fit_and_predict(known: Numbers, others: Numbers) -> Vector:
        return fit_ridge(rows[known], outcomes[known]).predict(rows[others])[0]

    return fit_and_predict


MIN_NETWORKS = 8
"""Minimum number of networks to fit to."""
MIN_MODEL_ERROR = 0.005
"""Lower bound on the model's error, in logs: it limits the weight of exact measurements."""

MIN_SCALE = 0.003
"""Lower bound on the scale of a feature. A share that hardly varied teaches nothing, and a network
with more of it gets a wide error bar."""

MAX_PENALTY = 100.0
"""Upper bound on the ridge penalty. Without it, a few similar networks can drive the penalty so
high that the model becomes overconfident on dissimilar ones."""


class PredictedLatency(msgspec.Struct, frozen=True):
    """The prediction for one network. It is never a measurement."""

    ms: float
    ratio: float
    """Ratio to stock GhostNetV2 1.0; below 1 is faster."""
    std: float
    """Relative standard deviation of a measurement around the prediction: the model's error and the
    noise of an average measurement."""


@dataclass(frozen=True)
class LatencyModel:
    """A fitted model; `latency_model.file` writes and reads it."""

    ridge: Ridge
    """Regression of the log ratio minus the log of the theoretical cost."""
    correction: Ridge | None
    """Correction for a device other than that of `ridge`, see `latency_model.correction`."""
    reference_ms: float
    """Milliseconds of stock GhostNetV2 1.0 on the device."""
    networks: int
    """Number of networks measured on this device."""
    held_out: int
    """Number of them that give the errors, each predicted by a model without it."""
    errors: tuple[LatencyError, ...]
    """Error of the model itself, then those of simpler predictions."""
    noise_floor: float
    """See `noise_floor`."""

    @property
    def error(self) -> LatencyError:
        """The model's own held-out error."""
        return self.errors[0]

    def predict(self, architectures: Sequence[Architecture]) -> list[PredictedLatency]:
        """Return one prediction for each network, in the order given."""
        mean, std = self.log_ratios(latency_features([lower(arch) for arch in architectures]))
        return [
            PredictedLatency(float(ratio) * self.reference_ms, float(ratio), float(spread))
            for ratio, spread in zip(np.exp(mean), std, strict=True)
        ]

    def log_ratios(self, features: Matrix) -> tuple[Vector, Vector]:
        """Return (n,) means and standard deviations of the log ratio for (n, d) features."""
        mean, std = self.ridge.predict(features)
        mean = mean + features[:, 0]
        if self.correction is None:
            return mean, std
        shift, spread = self.correction.predict(correction_features(features, mean))
        # The correction adds no knowledge where the first device's model has none.
        unknown = np.maximum(std**2 - self.ridge.noise**2, 0)
        return mean + shift, np.sqrt(spread**2 + unknown)


def fit_latency_model(
    architectures: Sequence[Architecture],
    measurements: Sequence[Measurement],
    *,
    held_out: int = 0,
) -> LatencyModel:
    """Fit the model of one device.

    Args:
        architectures: networks of the measurements, in the same order.
        measurements: measurements of one device.
        held_out: number of networks at the end that give the error, predicted by a model of the
            others; 0 means 10-fold cross-validation. The model itself is fitted to all.

    Raises:
        InputError: there are too few networks to fit to.
    """
    check_enough(len(architectures) - held_out)
    graphs = [lower(arch) for arch in architectures]
    features, measured = latency_features(graphs), log_ratios(measurements)
    weights = _weights(features, measured, log_errors(measurements))

    total = len(graphs)
    spread = np.full(total, np.nan)

    def fit_and_predict(known: Numbers, others: Numbers) -> Vector:
        ridge = _fit(features[known], measured[known], weights[known])
        mean, spread[others] = ridge.predict(features[others])
        predicted: Vector = mean + features[others, 0]
        return predicted

    parts = held_out_parts(total, held_out)
    predicted = predict_held_out(parts, total, fit_and_predict)
    return LatencyModel(
        ridge=widen_noise(_fit(features, measured, weights), predicted - measured, spread),
        correction=None,
        reference_ms=find_reference_ms(measurements),
        networks=total,
        held_out=sum(map(len, parts)),
        errors=(
            latency_error("model", predicted, measured),
            *baseline_errors(parts, list_macs(graphs), measured),
        ),
        noise_floor=noise_floor([measurements[number] for part in parts for number in part]),
    )


def widen_noise(ridge: Ridge, errors: Vector, spread: Vector) -> Ridge:
    """Return `ridge` with error bars widened to match held-out errors, never narrowed.

    The ridge's own error bars ignore that the penalty was chosen on the same networks.

    Args:
        ridge: fitted to all networks.
        errors: (n,) errors of held-out predictions; NaN where there is none.
        spread: (n,) standard deviations of those predictions.
    """
    factor = float(np.sqrt(np.nanmean((errors / spread) ** 2)))
    return replace(ridge, noise=ridge.noise * max(factor, 1.0))


def check_enough(networks: int) -> None:
    """Check that a model is fitted to at least `MIN_NETWORKS` networks.

    Raises:
        InputError: there are fewer.
    """
    if networks < MIN_NETWORKS:
        raise InputError(
            f"a latency model needs at least {MIN_NETWORKS} networks to be fitted to, but got "
            f"{networks}; measure more, or hold out fewer"
        )


def held_out_parts(total: int, held_out: int) -> list[Numbers]:
    """Return the parts to predict from the rest: the last `held_out`, or all networks in folds."""
    return [np.arange(total - held_out, total)] if held_out else folds(total)


def list_macs(graphs: Sequence[Graph]) -> list[int]:
    """Return the multiply-adds of each graph."""
    return [count_graph(graph).macs for graph in graphs]


def find_reference_ms(measurements: Sequence[Measurement]) -> float:
    """Return the milliseconds of the reference that the measurements refer to."""
    return float(np.median([each.ms / each.ratio for each in measurements]))


def _fit(features: Matrix, measured: Vector, weights: Vector) -> Ridge:
    return fit_ridge(
        features,
        measured - features[:, 0],
        weights,
        min_scale=MIN_SCALE,
        max_penalty=MAX_PENALTY,
    )


def _weights(features: Matrix, measured: Vector, errors: Vector) -> Vector:
    """Return the inverse variance of each measurement around the model.

    The variance is that of the measurement plus that of the model. The latter is the residual
    variance of an unweighted fit minus the mean variance of the measurements.
    """
    residual = _fit(features, measured, np.ones(len(measured))).noise
    model = max(residual**2 - float((errors**2).mean()), MIN_MODEL_ERROR**2)
    weights: Vector = 1 / (model + errors**2)
    return weights

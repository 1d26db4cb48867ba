"""The latency model: what a network would take on a device, with an error bar, without running it.

Ridge regression of the log of a network's time over stock GhostNetV2 1.0's. The log of its cost in
theory is taken as known, and the ridge learns what to multiply it by from the shares that each kind
of work has in it, see `latency_features`. So a network that resembles none of those measured is
predicted as theory has it, with an error bar that grows with how little is known.

How far latency predictions are from measurements that the model had not seen, and the least
that they could be.
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
from gnv2_nas.measurement.record import Measurement
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
    """The error of one way to predict, over networks it had not seen."""

    name: str
    error: float
    """Mean absolute error relative to what was measured; 0.03 is 3 %."""
    tau: float | None = None
    """Kendall's τ between predicted and measured; None for what orders nothing."""


def log_ratios(measurements: Sequence[Measurement]) -> Vector:
    """(n,) logs of the ratios to the reference."""
    return np.log([each.ratio for each in measurements])


def log_errors(measurements: Sequence[Measurement]) -> Vector:
    """(n,) standard errors of `log_ratios`, from the measurements' own intervals."""
    low, high = np.log([each.own_ci95() for each in measurements]).T
    result: Vector = (high - low) / (2 * Z95)
    return result


def noise_floor(measurements: Sequence[Measurement]) -> float:
    """The error that a perfect model would be found to have, because what it is compared with is
    itself only measured: the mean absolute value of normal noise as wide as the intervals."""
    return math.sqrt(2 / math.pi) * float(log_errors(measurements).mean())


def latency_error(name: str, predicted: Vector, measured: Vector) -> LatencyError:
    """Of (n,) predicted logs, those that are NaN left out."""
    seen = ~np.isnan(predicted)
    guess, truth = predicted[seen], measured[seen]
    tau = kendall_tau(guess.tolist(), truth.tolist()) if len(truth) >= MIN_FOR_TAU else math.nan
    error = float(np.abs(np.expm1(guess - truth)).mean())
    return LatencyError(name, error, None if math.isnan(tau) else tau)


def baseline_errors(
    parts: Sequence[Numbers], macs: Sequence[int], measured: Vector
) -> tuple[LatencyError, ...]:
    """Of the constant predictor and of multiply-adds alone, held out in the same parts."""
    rows = np.log(np.array(macs, np.float64))[:, None]
    constant = predict_held_out(
        parts, len(measured), lambda known, others: np.full(len(others), measured[known].mean())
    )
    by_macs = predict_held_out(parts, len(measured), _ridge_of(rows, measured))
    return (
        # It falls when a slow network is left out: what order that gives means nothing.
        msgspec.structs.replace(latency_error("constant", constant, measured), tau=None),
        latency_error("multiply-adds alone", by_macs, measured),
    )


def _ridge_of(rows: Matrix, outcomes: Vector) -> FitAndPredict:
    def fit_and_predict(known: Numbers, others: Numbers) -> Vector:
        return fit_ridge(rows[known], outcomes[known]).predict(rows[others])[0]

    return fit_and_predict


MIN_NETWORKS = 8
"""To fit to; fewer teach less than they cost."""
MIN_MODEL_ERROR = 0.005
"""In logs: no measurement counts for more than one this exact, however narrow its interval."""

MIN_SCALE = 0.003
"""Of features: a kind of work whose share hardly changed was not learnt about, and a network that
has more of it is predicted with an error bar that says so."""

MAX_PENALTY = 100.0
"""What a device makes of the features is not believed to be less than about the noise: a few alike
networks must not make the model sure of all others."""


class PredictedLatency(msgspec.Struct, frozen=True):
    """What a model expects of one network. Never a measurement."""

    ms: float
    ratio: float
    """To stock GhostNetV2 1.0; less is faster."""
    std: float
    """Standard deviation of a measurement around it, relative: the model's error and the noise of
    an average measurement together."""


@dataclass(frozen=True)
class LatencyModel:
    """A fitted model; `latency_file` writes and reads it."""

    ridge: Ridge
    """Of the log ratio less the log of the cost in theory."""
    correction: Ridge | None
    """For another device than the one `ridge` was fitted on, see `latency_correction`."""
    reference_ms: float
    """Time of stock GhostNetV2 1.0 on the device."""
    networks: int
    """How many were measured on this device."""
    held_out: int
    """How many of them the errors were taken from, each predicted by a model without it."""
    errors: tuple[LatencyError, ...]
    """Of the model itself, then of those that know less."""
    noise_floor: float
    """What the error of a perfect model would be found to be, see `latency_errors`."""

    @property
    def error(self) -> LatencyError:
        """The model's own held-out error."""
        return self.errors[0]

    def predict(self, architectures: Sequence[Architecture]) -> list[PredictedLatency]:
        """One for each network, in the order given."""
        mean, std = self.log_ratios(latency_features([lower(arch) for arch in architectures]))
        return [
            PredictedLatency(float(ratio) * self.reference_ms, float(ratio), float(spread))
            for ratio, spread in zip(np.exp(mean), std, strict=True)
        ]

    def log_ratios(self, features: Matrix) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the log ratio for (n, d) `latency_features`."""
        mean, std = self.ridge.predict(features)
        mean = mean + features[:, 0]
        if self.correction is None:
            return mean, std
        shift, spread = self.correction.predict(correction_features(features, mean))
        # What the first device's model did not know, the correction cannot know either.
        unknown = np.maximum(std**2 - self.ridge.noise**2, 0)
        return mean + shift, np.sqrt(spread**2 + unknown)


def fit_latency_model(
    architectures: Sequence[Architecture],
    measurements: Sequence[Measurement],
    *,
    held_out: int = 0,
) -> LatencyModel:
    """The model of one device, fitted to what was measured on it.

    Args:
        architectures: of the measurements, in the same order.
        measurements: all of one device.
        held_out: the last so many give the error, predicted by a model of the others; with 0 it
            comes from 10-fold cross-validation. The model itself is fitted to all.

    Raises:
        InputError: too few networks to fit to.
    """
    check_enough(len(architectures) - held_out)
    graphs = [lower(arch) for arch in architectures]
    features, measured = latency_features(graphs), log_ratios(measurements)
    weights = _weights(features, measured, log_errors(measurements))

    total = len(graphs)
    spread = np.full(total, np.nan)

    def fit_and_predict(known: Numbers, others: Numbers) -> Vector:
        ridge = _fitted(features[known], measured[known], weights[known])
        mean, spread[others] = ridge.predict(features[others])
        predicted: Vector = mean + features[others, 0]
        return predicted

    parts = held_out_parts(total, held_out)
    predicted = predict_held_out(parts, total, fit_and_predict)
    return LatencyModel(
        ridge=widen_noise(_fitted(features, measured, weights), predicted - measured, spread),
        correction=None,
        reference_ms=reference_ms(measurements),
        networks=total,
        held_out=sum(map(len, parts)),
        errors=(
            latency_error("model", predicted, measured),
            *baseline_errors(parts, macs_of(graphs), measured),
        ),
        noise_floor=noise_floor([measurements[number] for part in parts for number in part]),
    )


def widen_noise(ridge: Ridge, errors: Vector, spread: Vector) -> Ridge:
    """`ridge` with error bars as wide as held-out errors ask for, never narrower than its own.

    Its own take the penalty as given, which was chosen for a small error on the same networks.

    Args:
        ridge: fitted to all.
        errors: (n,) of held-out predictions; NaN where none was made.
        spread: (n,) standard deviations that those predictions came with.
    """
    factor = float(np.sqrt(np.nanmean((errors / spread) ** 2)))
    return replace(ridge, noise=ridge.noise * max(factor, 1.0))


def check_enough(networks: int) -> None:
    """
    Raises:
        InputError: a model would be fitted to fewer than `MIN_NETWORKS`.
    """
    if networks < MIN_NETWORKS:
        raise InputError(
            f"a latency model needs at least {MIN_NETWORKS} networks to be fitted to, but got "
            f"{networks}; measure more, or hold out fewer"
        )


def held_out_parts(total: int, held_out: int) -> list[Numbers]:
    """What is predicted by a model of the rest: the last `held_out`, or all of it in folds."""
    return [np.arange(total - held_out, total)] if held_out else folds(total)


def macs_of(graphs: Sequence[Graph]) -> list[int]:
    """Multiply-adds of each."""
    return [count_graph(graph).macs for graph in graphs]


def reference_ms(measurements: Sequence[Measurement]) -> float:
    """What the milliseconds of the measurements are expressed in."""
    return float(np.median([each.ms / each.ratio for each in measurements]))


def _fitted(features: Matrix, measured: Vector, weights: Vector) -> Ridge:
    return fit_ridge(
        features,
        measured - features[:, 0],
        weights,
        min_scale=MIN_SCALE,
        max_penalty=MAX_PENALTY,
    )


def _weights(features: Matrix, measured: Vector, errors: Vector) -> Vector:
    """One over the variance of each measurement around the model: its own and the model's error.

    The latter is what the former leaves of the residuals of a fit in which all count the same.
    """
    residual = _fitted(features, measured, np.ones(len(measured))).noise
    model = max(residual**2 - float((errors**2).mean()), MIN_MODEL_ERROR**2)
    weights: Vector = 1 / (model + errors**2)
    return weights

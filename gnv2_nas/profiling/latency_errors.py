"""How far latency predictions are from measurements that the model had not seen, and the least
that they could be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from gnv2_nas.profiling.record import NORMAL_95, Measurement
from gnv2_nas.stats import Matrix, Vector, fit_ridge
from gnv2_nas.stats.rank_agreement import kendall_tau
from gnv2_nas.stats.ridge import FitAndPredict, Numbers, predict_held_out

FEWEST_FOR_TAU = 4


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
    result: Vector = (high - low) / (2 * NORMAL_95)
    return result


def noise_floor(measurements: Sequence[Measurement]) -> float:
    """The error that a perfect model would be found to have, because what it is compared with is
    itself only measured: the mean absolute value of normal noise as wide as the intervals."""
    return math.sqrt(2 / math.pi) * float(log_errors(measurements).mean())


def latency_error(name: str, predicted: Vector, measured: Vector) -> LatencyError:
    """Of (n,) predicted logs, those that are NaN left out."""
    seen = ~np.isnan(predicted)
    guess, truth = predicted[seen], measured[seen]
    tau = kendall_tau(guess.tolist(), truth.tolist()) if len(truth) >= FEWEST_FOR_TAU else math.nan
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

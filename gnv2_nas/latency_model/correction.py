"""A latency model for another device or thread count, from few networks and the model of the first.

The first device's model knows how networks differ; a second device moves that by a factor, and by
what it does better or worse: convolutions, depthwise ones, copies. Those are few numbers, which
some twenty networks can teach. Whether they did is asked of networks left out one at a time, and
the correction is kept only where it is better than no correction and than knowing nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import MeasurementError
from gnv2_nas.graph import lower
from gnv2_nas.latency_model.features import correction_features, latency_features
from gnv2_nas.latency_model.model import (
    MIN_SCALE,
    LatencyModel,
    baseline_errors,
    check_enough,
    latency_error,
    log_ratios,
    macs_of,
    noise_floor,
    reference_ms,
    widen_noise,
)
from gnv2_nas.measurement.record import Measurement
from gnv2_nas.stats.ridge import Matrix, Numbers, Ridge, Vector, fit_ridge, folds, predict_held_out


def correct_latency_model(
    base: LatencyModel,
    architectures: Sequence[Architecture],
    measurements: Sequence[Measurement],
) -> LatencyModel:
    """`base` corrected by what was measured on another device.

    Args:
        base: the model of the first device; what had been corrected itself is corrected anew.
        architectures: of the measurements, in the same order.
        measurements: of the other device.

    Raises:
        InputError: too few networks.
        MeasurementError: the correction predicts networks left out no better than `base` does
            without it, or than their mean does; the message gives the errors.
    """
    check_enough(len(architectures))
    graphs = [lower(arch) for arch in architectures]
    features, measured = latency_features(graphs), log_ratios(measurements)
    base = replace(base, correction=None)
    predicted, _ = base.log_ratios(features)
    rows = correction_features(features, predicted)
    total = len(graphs)
    spread = np.full(total, np.nan)

    def fit_and_predict(known: Numbers, others: Numbers) -> Vector:
        ridge = _fitted(rows[known], measured[known] - predicted[known])
        shift, spread[others] = ridge.predict(rows[others])
        corrected: Vector = predicted[others] + shift
        return corrected

    parts = folds(total, total)
    corrected = predict_held_out(parts, total, fit_and_predict)
    ridge = _fitted(rows, measured - predicted)
    model = replace(
        base,
        correction=widen_noise(ridge, corrected - measured, spread),
        reference_ms=reference_ms(measurements),
        networks=total,
        held_out=total,
        errors=(
            latency_error("model", corrected, measured),
            latency_error("without correction", predicted, measured),
            *baseline_errors(parts, macs_of(graphs), measured),
        ),
        noise_floor=noise_floor(measurements),
    )
    _check_better(model)
    return model


def _fitted(rows: Matrix, shifts: Vector) -> Ridge:
    return fit_ridge(rows, shifts, min_scale=MIN_SCALE)


def _check_better(model: LatencyModel) -> None:
    corrected, without, constant, _ = model.errors
    if corrected.error < min(without.error, constant.error):
        return
    raise MeasurementError(
        f"the correction is refused: over {model.networks} networks left out one at a time it is "
        f"{corrected.error:.1%} off, the model without it {without.error:.1%}, their mean "
        f"{constant.error:.1%}; measure more networks, or fit a model of this device's own "
        f"without --from"
    )

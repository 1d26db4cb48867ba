"""A latency model for another device or thread count, from an existing model and few networks.

The first device's model describes how networks differ. A second device changes that by a factor,
and by kinds of work that it does faster or slower: convolutions, depthwise convolutions, copies.
About twenty networks determine these few numbers. The correction is accepted only if its
leave-one-out error is lower than that of no correction and of the mean.
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
    find_reference_ms,
    latency_error,
    list_macs,
    log_ratios,
    noise_floor,
    widen_noise,
)
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.stats.ridge import Matrix, Numbers, Ridge, Vector, fit_ridge, folds, predict_held_out


def correct_latency_model(
    base: LatencyModel,
    architectures: Sequence[Architecture],
    measurements: Sequence[Measurement],
) -> LatencyModel:
    """Return `base`, corrected by measurements on another device.

    Args:
        base: model of the first device; an earlier correction is replaced.
        architectures: networks of the measurements, in the same order.
        measurements: measurements of the other device.

    Raises:
        InputError: there are too few networks.
        MeasurementError: the correction's leave-one-out error is no lower than that of `base` or of
            the mean; the message gives the errors.
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
        ridge = _fit(rows[known], measured[known] - predicted[known])
        shift, spread[others] = ridge.predict(rows[others])
        corrected: Vector = predicted[others] + shift
        return corrected

    parts = folds(total, total)
    corrected = predict_held_out(parts, total, fit_and_predict)
    ridge = _fit(rows, measured - predicted)
    model = replace(
        base,
        correction=widen_noise(ridge, corrected - measured, spread),
        reference_ms=find_reference_ms(measurements),
        networks=total,
        held_out=total,
        errors=(
            latency_error("model", corrected, measured),
            latency_error("without correction", predicted, measured),
            *baseline_errors(parts, list_macs(graphs), measured),
        ),
        noise_floor=noise_floor(measurements),
    )
    _check_better(model)
    return model


def _fit(rows: Matrix, shifts: Vector) -> Ridge:
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

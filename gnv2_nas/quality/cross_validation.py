"""Held-out error of an accuracy predictor, beside the errors of baselines that know less."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import count
from gnv2_nas.stats.rank_agreement import RankAgreement, rank_agreement
from gnv2_nas.stats.ridge import Matrix, Numbers, Vector, folds, predict_held_out

FitAndPredict = Callable[[Matrix, Vector, Matrix], Vector]
"""(features, accuracies) of known networks and features of others → their accuracies."""


class HeldOutError(msgspec.Struct, frozen=True):
    """How far predictions were from accuracies that had not been seen; per cent."""

    name: str
    mae: float
    """Mean absolute error."""
    rmse: float
    agreement: RankAgreement | None
    """Kendall's τ between the two; None for the mean."""


def held_out_errors(
    features: Matrix,
    architectures: Sequence[Architecture],
    accuracies: Vector,
    fit_and_predict: FitAndPredict,
) -> tuple[HeldOutError, ...]:
    """Errors of the predictor, of the mean, of log multiply-adds and of log parameters alone.

    All by the same 10-fold cross-validation.
    """
    counts = [count(arch) for arch in architectures]
    inputs = {
        "predictor": features,
        "mean": np.empty((len(accuracies), 0)),
        "multiply-adds alone": np.log2([[each.macs] for each in counts]),
        "parameters alone": np.log2([[each.params] for each in counts]),
    }
    return tuple(
        _held_out_error(name, each, accuracies, fit_and_predict) for name, each in inputs.items()
    )


def _held_out_error(
    name: str, features: Matrix, accuracies: Vector, fit_and_predict: FitAndPredict
) -> HeldOutError:
    def predict(known: Numbers, others: Numbers) -> Vector:
        return fit_and_predict(features[known], accuracies[known], features[others])

    total = len(accuracies)
    predicted = predict_held_out(folds(total), total, predict)
    errors = predicted - accuracies
    # Without features it predicts the mean of the rest, which falls when a good network is left
    # out: that orders nothing.
    ordered = features.shape[1] > 0
    return HeldOutError(
        name,
        mae=float(np.abs(errors).mean()),
        rmse=float(np.sqrt((errors**2).mean())),
        agreement=rank_agreement(list(predicted), list(accuracies)) if ordered else None,
    )

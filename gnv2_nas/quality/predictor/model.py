"""The accuracy predictor: model, held-out error, file, and the estimator that uses it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from gnv2_nas.arch import Architecture, SupernetSpec
from gnv2_nas.errors import CheckpointError, InputError
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.graph import count
from gnv2_nas.quality.base import ESTIMATORS, EstimatorInfo, QualityContext, check_space_matches
from gnv2_nas.quality.predictor.features import column_names, features
from gnv2_nas.stats.intervals import Z95
from gnv2_nas.stats.rank_agreement import RankAgreement, rank_agreement
from gnv2_nas.stats.ridge import (
    Matrix,
    Numbers,
    Ridge,
    RidgeRecord,
    Vector,
    fit_ridge,
    folds,
    predict_held_out,
    read_model_record,
    restore_ridge,
)

if TYPE_CHECKING:
    from gnv2_nas.space import SearchSpace

FitAndPredict = Callable[[Matrix, Vector, Matrix], Vector]
"""Features and accuracies of known networks, features of others → their accuracies."""


class HeldOutError(msgspec.Struct, frozen=True):
    """Errors of predictions for networks that were held out; per cent."""

    name: str
    mae: float
    """Mean absolute error."""
    rmse: float
    agreement: RankAgreement | None
    """Kendall's τ between predictions and accuracies; None for the mean."""


def held_out_errors(
    features: Matrix,
    architectures: Sequence[Architecture],
    accuracies: Vector,
    fit_and_predict: FitAndPredict,
) -> tuple[HeldOutError, ...]:
    """Compute errors of the predictor, of the mean, of log multiply-adds and of log parameters.

    All use the same 10-fold cross-validation.
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
    # Without features the prediction is the mean of the other networks. It is anti-correlated
    # with the held-out accuracy, so a rank correlation would be meaningless.
    ordered = features.shape[1] > 0
    return HeldOutError(
        name,
        mae=float(np.abs(errors).mean()),
        rmse=float(np.sqrt((errors**2).mean())),
        agreement=rank_agreement(list(predicted), list(accuracies)) if ordered else None,
    )


MIN_FITTED_NETWORKS = 20
"""With fewer networks, the number of parameters predicts as well."""

_MIN_ACCURACY = 0.05
"""Distance to 0 and 100 % at which accuracies are clipped, to keep logits finite."""


class Predictor:
    """A fitted accuracy predictor."""

    def __init__(
        self, space: str, space_hash: str, supernet_spec: SupernetSpec, ridge: Ridge, source: str,
        networks: int, errors: tuple[HeldOutError, ...],
    ) -> None:  # fmt: skip
        self.space = space
        self.space_hash = space_hash
        self.supernet_spec = supernet_spec
        self.ridge = ridge
        self.source = source
        """Estimator of the accuracies, for example "supernet:supernet.safetensors"."""
        self.networks = networks
        """Number of networks that it was fitted to."""
        self.errors = errors
        """Held-out errors: first of the predictor, then of the baselines."""

    @property
    def error(self) -> HeldOutError:
        """The predictor's own held-out error."""
        return self.errors[0]

    def predict(self, architectures: Sequence[Architecture]) -> tuple[Vector, Vector]:
        """Predict the accuracy of each network and its standard deviation, both in per cent.

        Raises:
            InputError: a network does not belong to the space of the predictor.
        """
        logits, spread = self.ridge.predict(features(architectures, self.supernet_spec))
        accuracies = _per_cent(logits)
        return accuracies, spread * accuracies * (100 - accuracies) / 100


def fit_predictor(
    architectures: Sequence[Architecture],
    accuracies: Sequence[float],
    space: SearchSpace,
    source: str = "",
) -> Predictor:
    """Fit a predictor to evaluated networks of a space.

    Args:
        accuracies: per cent.
        source: estimator of the accuracies, as `--quality` names it.

    Raises:
        InputError: too few networks, or one that is outside the space.
    """
    if len(architectures) < MIN_FITTED_NETWORKS:
        raise InputError(
            f"a predictor needs at least {MIN_FITTED_NETWORKS} evaluated networks, but got "
            f"{len(architectures)}; evaluate more"
        )
    rows = features(architectures, space.supernet_spec)
    outcomes = np.asarray(accuracies, dtype=np.float64)
    return Predictor(
        space=space.name,
        space_hash=space.content_hash,
        supernet_spec=space.supernet_spec,
        ridge=fit_ridge(rows, _logits(outcomes)),
        source=source,
        networks=len(architectures),
        errors=held_out_errors(rows, architectures, outcomes, _fit_and_predict),
    )


def _fit_and_predict(train: Matrix, accuracies: Vector, test: Matrix) -> Vector:
    return _per_cent(fit_ridge(train, _logits(accuracies)).predict(test)[0])


def _logits(accuracies: Vector) -> Vector:
    shares = np.clip(accuracies, _MIN_ACCURACY, 100 - _MIN_ACCURACY) / 100
    result: Vector = np.log(shares / (1 - shares))
    return result


def _per_cent(logits: Vector) -> Vector:
    return 100 / (1 + np.exp(-logits))


_WHAT = "an accuracy predictor that gnv2-nas quality fit wrote"


class _Record(msgspec.Struct, frozen=True, tag="gnv2-nas accuracy predictor", tag_field="type"):
    version: Literal[1]
    space: str
    space_hash: str
    source: str
    networks: int
    errors: tuple[HeldOutError, ...]
    columns: list[str]
    """Names of the features; other names show that another version wrote the file."""
    supernet_spec: SupernetSpec = msgspec.field(name="envelope")
    ridge: RidgeRecord


def save_predictor(predictor: Predictor, path: Path) -> None:
    """Write a predictor; an older file is replaced atomically.

    Raises:
        StorageError: the disk refused.
    """
    record = _Record(
        version=1,
        space=predictor.space,
        space_hash=predictor.space_hash,
        source=predictor.source,
        networks=predictor.networks,
        errors=predictor.errors,
        columns=column_names(predictor.supernet_spec),
        supernet_spec=predictor.supernet_spec,
        ridge=RidgeRecord.of(predictor.ridge),
    )
    write_atomically(path, msgspec.json.encode(record) + b"\n")


def load_predictor(path: Path) -> Predictor:
    """Read a predictor.

    Raises:
        CheckpointError: not a predictor, of another version, or damaged.
    """
    record = read_model_record(path, _Record, _WHAT, CheckpointError)
    if record.columns != column_names(record.supernet_spec) or not record.errors:
        raise CheckpointError(
            f"{path}: a predictor of other features, from another version of gnv2-nas; fit it again"
        )
    return Predictor(
        space=record.space,
        space_hash=record.space_hash,
        supernet_spec=record.supernet_spec,
        ridge=restore_ridge(path, record.ridge, len(record.columns), CheckpointError),
        source=record.source,
        networks=record.networks,
        errors=record.errors,
    )


class PredictedAccuracy:
    """The quality estimator `predictor:FILE`.

    Raises:
        CheckpointError: the file holds no predictor, or one of another space.
    """

    def __init__(self, path: Path, context: QualityContext) -> None:
        self.predictor = load_predictor(path)
        check_space_matches(path, "predictor", self.predictor, context.space)
        error = self.predictor.error
        self.info: EstimatorInfo = msgspec.structs.replace(
            ESTIMATORS["predictor"],
            note=f"predicted accuracy, held-out error ±{error.mae:.2g} %",
            # The difference of two errors has √2 times the deviation of one.
            noise=Z95 * math.sqrt(2) * error.rmse,
            supernet_spec=self.predictor.supernet_spec,
        )

    def score(self, arch: Architecture) -> float:
        """Predict the accuracy, per cent."""
        return float(self.predictor.predict([arch])[0][0])

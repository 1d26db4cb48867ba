"""Files of accuracy predictors, and the quality estimator that reads one.

The files are JSON with arrays in base64.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import msgspec

from gnv2_nas.arch import Architecture, SupernetSpec
from gnv2_nas.errors import CheckpointError
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.quality.base import ESTIMATORS, EstimatorInfo, QualityContext, check_space_matches
from gnv2_nas.quality.predictor.features import column_names
from gnv2_nas.quality.predictor.model import HeldOutError, Predictor
from gnv2_nas.stats.intervals import Z95
from gnv2_nas.stats.model_file import RidgeRecord, read_model_record, restore_ridge

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

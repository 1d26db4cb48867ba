"""The quality estimator `predictor:FILE`."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.quality.base import ESTIMATORS, EstimatorInfo, QualityContext, check_space_matches
from gnv2_nas.quality.predictor.file import load_predictor
from gnv2_nas.stats.intervals import Z95


class PredictedAccuracy:
    """The quality estimator `predictor:FILE`.

    Raises:
        CheckpointError: the file holds no predictor.
        InputError: it was fitted to another space than the one that is searched.
    """

    def __init__(self, path: Path, context: QualityContext) -> None:
        self.predictor = load_predictor(path)
        check_space_matches(path, "predictor", self.predictor, context.space)
        error = self.predictor.error
        self.info: EstimatorInfo = msgspec.structs.replace(
            ESTIMATORS["predictor"],
            note=f"predicted accuracy, held-out error ±{error.mae:.2g} %",
            # The difference of two errors varies √2 times as much as one.
            noise=Z95 * math.sqrt(2) * error.rmse,
            supernet_spec=self.predictor.supernet_spec,
        )

    def score(self, arch: Architecture) -> float:
        """Predicted accuracy, per cent."""
        return float(self.predictor.predict([arch])[0][0])

"""Quality estimators: the scores that a search maximises."""

from gnv2_nas.quality.base import (
    ESTIMATORS,
    EstimatorInfo,
    QualityContext,
    QualityEstimator,
    QualitySpec,
)
from gnv2_nas.quality.registry import check_estimator, get_estimator

__all__ = [
    "ESTIMATORS",
    "EstimatorInfo",
    "QualityContext",
    "QualityEstimator",
    "QualitySpec",
    "check_estimator",
    "get_estimator",
]

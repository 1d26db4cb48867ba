"""What a search maximises: quality estimators, by name."""

from gnv2_nas.quality.base import ESTIMATORS, EstimatorInfo, QualityContext, QualityEstimator
from gnv2_nas.quality.registry import check_estimator, estimator_name, get_estimator

__all__ = [
    "ESTIMATORS",
    "EstimatorInfo",
    "QualityContext",
    "QualityEstimator",
    "check_estimator",
    "estimator_name",
    "get_estimator",
]

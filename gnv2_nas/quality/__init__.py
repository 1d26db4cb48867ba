"""What a search maximises: quality estimators, by name."""

from gnv2_nas.quality.base import QualityContext, QualityEstimator
from gnv2_nas.quality.catalogue import ESTIMATORS, EstimatorInfo
from gnv2_nas.quality.estimator import check_estimator, estimator_name, get_estimator

__all__ = [
    "ESTIMATORS",
    "EstimatorInfo",
    "QualityContext",
    "QualityEstimator",
    "check_estimator",
    "estimator_name",
    "get_estimator",
]

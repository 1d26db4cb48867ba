"""What a search maximises: quality estimators, by name."""

from gnv2_nas.quality.estimator import (
    ESTIMATORS,
    EstimatorInfo,
    ParameterCount,
    QualityEstimator,
    check_estimator,
    get_estimator,
)

__all__ = [
    "ESTIMATORS",
    "EstimatorInfo",
    "ParameterCount",
    "QualityEstimator",
    "check_estimator",
    "get_estimator",
]

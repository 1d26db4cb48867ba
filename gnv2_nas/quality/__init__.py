"""What a search maximises: quality estimators, by name."""

from gnv2_nas.quality.estimator import (
    ESTIMATORS,
    ParameterCount,
    QualityEstimator,
    check_estimator,
    get_estimator,
)

__all__ = [
    "ESTIMATORS",
    "ParameterCount",
    "QualityEstimator",
    "check_estimator",
    "get_estimator",
]

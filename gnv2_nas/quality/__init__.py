"""What a search maximises: quality estimators, by name."""

from gnv2_nas.quality.estimator import (
    DEFAULT_ESTIMATOR,
    ESTIMATORS,
    ParameterCount,
    QualityEstimator,
    check_estimator,
    get_estimator,
)

__all__ = [
    "DEFAULT_ESTIMATOR",
    "ESTIMATORS",
    "ParameterCount",
    "QualityEstimator",
    "check_estimator",
    "get_estimator",
]

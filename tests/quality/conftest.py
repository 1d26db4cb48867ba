from __future__ import annotations

import pytest

from gnv2_nas.quality import ESTIMATORS, QualityEstimator, get_estimator


@pytest.fixture(params=ESTIMATORS)
def estimator(request: pytest.FixtureRequest) -> QualityEstimator:
    return get_estimator(request.param)

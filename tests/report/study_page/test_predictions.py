"""Predictions against what was found, beside a constant, a line through MACs, and noise."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from gnv2_nas.report.study_page.predictions import describe_check, prediction_checks
from gnv2_nas.search.study.records import Prediction, Trial
from tests.report.studies import STOCK_MS, candidate, found_architecture, searched, study, typical


def network(number: int, ratio: float, predicted: float | None = None) -> Trial:
    """One of three architectures; `predicted` latency in ms, with a deviation of 5 %."""
    made = candidate(number, found_architecture(number % 3), ratio=ratio, quality=90 + ratio)
    if predicted is None:
        return made
    return replace(made, predicted={"latency": Prediction(predicted, 0.05 * predicted)})


def test_errors_beside_a_constant_and_a_line_that_knew_no_more() -> None:
    known = [network(0, 1.0), network(1, 2.0)]
    record = study([*known, network(0, 1.0, 1.1 * STOCK_MS), network(1, 2.0, 2.0 * STOCK_MS)])
    (check,) = prediction_checks(record)
    assert (check.metric.name, check.networks) == ("latency", 2)
    assert check.error == pytest.approx((0.1 + 0) / 2)
    # 1.5 was the mean of what was known, then 4 / 3; the line goes through both networks.
    assert check.constant == pytest.approx((0.5 + 1 / 3) / 2)
    assert check.macs == pytest.approx(0, abs=1e-9)
    assert check.tau == 1


def test_networks_of_one_batch_do_not_tell_about_each_other() -> None:
    def together(one: Trial) -> Trial:
        assert one.latency is not None
        return one.with_latency(replace(one.latency, batch="b"))

    known = [network(0, 1.0), network(1, 2.0)]
    batch = [together(network(0, 1.0, STOCK_MS)), together(network(1, 2.0, 2 * STOCK_MS))]
    (check,) = prediction_checks(study([*known, *batch]))
    assert check.constant == pytest.approx((0.5 + 0.25) / 2)


def test_the_noise_floor_is_what_a_perfect_prediction_errs_by() -> None:
    """Intervals of ±1.2 % are standard errors of 0.61 %, mean absolute errors of 0.49 %."""
    (check,) = prediction_checks(study([network(0, 1.0), network(1, 2.0), network(2, 1.0, 7.0)]))
    assert check.floor == pytest.approx(0.012 / 1.96 * math.sqrt(2 / math.pi), rel=1e-3)


def test_intervals_hold_what_they_promise() -> None:
    near, off = network(0, 1.0, 1.09 * STOCK_MS), network(0, 1.0, 1.2 * STOCK_MS)
    (check,) = prediction_checks(study([network(0, 1.0), network(1, 2.0), near, off]))
    assert check.held == 0.5


def test_a_score_errs_in_its_own_unit_and_an_accuracy_in_points() -> None:
    quality, latency = prediction_checks(searched())
    assert "%" not in quality.format(quality.error)
    assert latency.format(latency.error).endswith("%")
    assert "The latency of 96 networks was predicted before evaluation" in (describe_check(latency))
    points = replace(quality, metric=replace(quality.metric, is_accuracy=True))
    assert "percentage points" in describe_check(points)


def test_studies_without_predictions_have_no_check() -> None:
    assert prediction_checks(typical(20)) == []
    assert prediction_checks(study([])) == []

"""The machine's speed for a size, from references of other sizes."""

from __future__ import annotations

import numpy as np
import pytest

from gnv2_nas.measurement.references import calibration_error, estimate_speeds, size_correlation

POSITIONS = np.array([0.2, 0.25, 0.5, 0.75, 0.95, 0.22, 0.6, 0.99])
"""Five references, then three networks."""
ROWS = np.arange(5)
SIZE_SPREAD = 0.05


def test_weights_add_up_to_one():
    found = estimate_speeds(POSITIONS, ROWS, np.full(5, 1e-4), SIZE_SPREAD)
    assert found.weights.sum(axis=1) == pytest.approx(np.ones(8))
    assert found.constant.sum() == pytest.approx(1)
    # A machine that is slower for all alike is found to be so.
    assert found.weights @ np.full(5, 0.3) == pytest.approx(np.full(8, 0.3))


def test_the_error_is_as_large_as_it_says():
    rng, noise = np.random.default_rng(0), np.array([1, 2, 3, 4, 5]) * 2e-5
    found = estimate_speeds(POSITIONS, ROWS, noise, SIZE_SPREAD)
    covariance = SIZE_SPREAD**2 * size_correlation(POSITIONS, POSITIONS)
    true = rng.normal() + rng.multivariate_normal(np.zeros(8), covariance, 20_000)
    seen = true[:, :5] + rng.normal(size=(20_000, 5)) * np.sqrt(noise)
    errors = seen @ found.weights.T - true
    assert errors.std(axis=0) == pytest.approx(np.sqrt(found.variance), rel=0.05)


def test_a_reference_of_like_size_tells_more_than_one_of_another():
    noise = np.array([1e-6])
    for far, near in ((0, 1), (1, 2)):
        variances = [
            estimate_speeds(POSITIONS, np.array([row]), noise, SIZE_SPREAD).variance[6]
            for row in (far, near)
        ]
        assert variances[0] > variances[1]


def test_without_sizes_the_best_is_the_mean_by_inverse_variance():
    noise = np.array([1.0, 2.0, 4.0]) * 1e-4
    found = estimate_speeds(np.zeros(4), np.arange(3), noise, SIZE_SPREAD)
    weights = (1 / noise) / (1 / noise).sum()
    assert found.weights[3] == pytest.approx(weights, rel=1e-3)
    assert found.variance[3] == pytest.approx(1 / (1 / noise).sum(), rel=1e-3)


def test_errors_of_known_ratios_are_combined_with_their_covariance():
    weights = np.array([[0.5, 0.5], [1.0, 0.0]])
    same = np.array([[4.0, 4.0], [4.0, 4.0]])
    assert calibration_error(weights, same) == pytest.approx([2, 2])
    assert calibration_error(weights, np.diag([4.0, 4.0])) == pytest.approx([np.sqrt(2), 2])


def test_what_happens_to_one_network_alone_happens_to_references_too():
    weights = np.array([[0.5, 0.5], [1.0, 0.0]])
    assert calibration_error(weights, np.zeros((2, 2)), 3.0) == pytest.approx(
        [3 * np.sqrt(1.5), 3 * np.sqrt(2)]
    )

"""The Gaussian process against dense algebra, and against truths that it can know."""

from __future__ import annotations

import numpy as np
import pytest

from gnv2_nas.stats.gaussian_process import MAX_FITTED, fit_gaussian_process
from gnv2_nas.stats.variance_components import Components, estimate_components

GROUPS = np.array([0, 0, 1, 2])


def data(rows, noise=0.3, seed=0, interaction=0.4):
    """The second group has no effect; the others have, and together a little more."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 4))
    truth = 5 + features @ [2.0, -1.0, 0.0, 0.7] + interaction * features[:, 0] * features[:, 3]
    return features, truth + noise * rng.normal(size=rows), truth


def dense(process, rows, others):
    """Covariances of (n, d) and (m, d) features, written out."""
    sizes = np.sqrt(process.components.groups)[GROUPS] / process.scales
    linear = sum(
        variance * (rows / sizes)[:, group == GROUPS] @ (others / sizes)[:, group == GROUPS].T
        for group, variance in enumerate(process.components.groups)
    )
    share = process.components.interactions / process.components.groups.sum() ** 2
    return linear + share * linear**2


def predicted(process, features, outcomes, rows):
    """Mean and covariance by the textbook: Rasmussen & Williams, eq. 2.25 and 2.26."""
    centre, spread = process.centre, process.spread
    noisy = dense(process, features, features) + process.components.noise * np.eye(len(features))
    across = dense(process, rows, features)
    mean = centre + across @ np.linalg.solve(noisy, outcomes - centre)
    left = dense(process, rows, rows) - across @ np.linalg.solve(noisy, across.T)
    return mean, left * spread**2


def test_mean_and_deviation_are_those_of_dense_algebra():
    features, outcomes, _ = data(30)
    rows = data(7, seed=1)[0]
    process = fit_gaussian_process(features, GROUPS, outcomes)
    mean, covariance = predicted(process, features, outcomes, rows)
    found = process.mean_and_std(rows)
    assert found[0] == pytest.approx(mean)
    assert found[1] == pytest.approx(np.sqrt(np.diag(covariance)))
    assert process.mean(rows) == pytest.approx(mean)
    assert process.fitted == pytest.approx(process.mean(features))


def test_draws_have_the_mean_and_the_covariance():
    features, outcomes, _ = data(20)
    rows = np.vstack([data(4, seed=1)[0]] * 2)
    process = fit_gaussian_process(features, GROUPS, outcomes)
    mean, covariance = predicted(process, features, outcomes, rows)
    normal = np.random.default_rng(0).standard_normal((20_000, len(rows)))
    drawn = process.draws(rows, normal)
    size = np.sqrt(covariance.max())
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=0.03 * size)
    assert np.cov(drawn.T) == pytest.approx(covariance, abs=0.05 * size**2)
    # One function: at the same place it has the same value.
    assert drawn[:, :4] == pytest.approx(drawn[:, 4:], abs=1e-2 * size)


def test_leaving_one_out_is_fitting_to_the_others():
    """With the components, centre and scale of all, which the shortcut takes as given."""
    features, outcomes, _ = data(16)
    process = fit_gaussian_process(features, GROUPS, outcomes)
    residuals, deviations = process.leave_one_out()
    noise = process.noise**2
    for left_out in range(16):
        others = np.arange(16) != left_out
        mean, covariance = predicted(
            process, features[others], outcomes[others], features[[left_out]]
        )
        assert residuals[left_out] == pytest.approx(outcomes[left_out] - mean[0])
        assert deviations[left_out] == pytest.approx(np.sqrt(covariance[0, 0] + noise))


def test_of_many_outcomes_all_count_in_the_mean():
    features, outcomes, truth = data(MAX_FITTED + 200)
    rows = data(50, seed=1)[0]
    process = fit_gaussian_process(features, GROUPS, outcomes)
    mean, covariance = predicted(process, features, outcomes, rows)
    found = process.mean_and_std(rows)
    assert found[0] == pytest.approx(mean)
    # The deviations are those of fewer outcomes: too large, if anything.
    exact = np.sqrt(np.diag(covariance))
    assert np.all(found[1] >= exact * (1 - 1e-9))
    assert np.all(found[1] <= 2 * exact)
    assert process.fitted == pytest.approx(process.mean(features))
    assert np.sqrt(np.mean((process.fitted - truth) ** 2)) < 0.1


@pytest.mark.parametrize("noise", [0.1, 0.5, 2.0])
def test_error_bars_are_about_as_large_as_errors(noise):
    scores = []
    for seed in range(5):
        features, outcomes, _ = data(50, noise, seed, interaction=0)
        rows, _, truth = data(200, noise, seed + 100, interaction=0)
        middle = features.mean(axis=0)
        process = fit_gaussian_process(features - middle, GROUPS, outcomes)
        mean, std = process.mean_and_std(rows - middle)
        scores.append((mean - truth) / std)
        assert process.noise == pytest.approx(noise, rel=0.6)
    assert 0.85 < np.mean(np.abs(scores) < 1.96) <= 1
    assert 0.6 < np.sqrt(np.mean(np.square(scores))) < 1.4


@pytest.mark.parametrize("value", [0.0, 0.1, -1e9])
def test_outcomes_that_are_all_the_same(value):
    features = data(12)[0]
    process = fit_gaussian_process(features, GROUPS, np.full(12, value))
    mean, std = process.mean_and_std(data(5, seed=1)[0])
    assert mean == pytest.approx(np.full(5, value))
    assert np.all(np.isfinite(std))


def test_one_outcome():
    features = data(1)[0]
    process = fit_gaussian_process(features, GROUPS, np.array([3.0]))
    mean, std = process.mean_and_std(data(5, seed=1)[0])
    assert mean == pytest.approx(np.full(5, 3.0))
    assert np.all(std > 0)
    assert np.all(np.isfinite(process.draws(data(5, seed=1)[0], np.ones((2, 5)))))


def test_repeated_rows_are_averaged():
    features = np.repeat(data(6)[0], 5, axis=0)
    outcomes = np.repeat(np.arange(6.0), 5) + np.tile([-1, -0.5, 0, 0.5, 1], 6)
    process = fit_gaussian_process(features, GROUPS, outcomes)
    mean, std = process.mean_and_std(features[::5])
    assert mean == pytest.approx(np.arange(6), abs=0.6)
    assert np.all(std < process.noise)


def test_features_that_never_vary_change_nothing():
    features, outcomes, _ = data(30)
    rows = data(5, seed=1)[0]
    groups = np.append(GROUPS, 3)
    wider = fit_gaussian_process(np.column_stack([features, np.zeros(30)]), groups, outcomes)
    found = wider.mean_and_std(np.column_stack([rows, np.zeros(5)]))
    plain = fit_gaussian_process(features, GROUPS, outcomes).mean_and_std(rows)
    assert found[0] == pytest.approx(plain[0], abs=0.1)
    assert found[1] == pytest.approx(plain[1], rel=0.3)


def test_units_make_no_difference():
    features, outcomes, _ = data(25)
    rows = data(5, seed=1)[0]
    mean, std = fit_gaussian_process(features, GROUPS, outcomes).mean_and_std(rows)
    scaled = fit_gaussian_process(1e4 * features, GROUPS, 1e-6 * outcomes + 7)
    found = scaled.mean_and_std(1e4 * rows)
    assert found[0] == pytest.approx(1e-6 * mean + 7)
    assert found[1] == pytest.approx(1e-6 * std)


@pytest.mark.parametrize("seed", range(3))
def test_importance_goes_where_the_effect_is(seed):
    """One group of ten makes the outcomes, the rest are nothing."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(10), 3)
    features = rng.normal(size=(60, 30)) / np.sqrt(3)
    outcomes = features[:, :3] @ rng.normal(size=3)
    outcomes = outcomes / outcomes.std() + 0.1 * rng.normal(size=60)
    found = estimate_components(features, groups, outcomes / outcomes.std(), Components.even(10))
    assert found.groups.argmax() == 0
    assert found.groups[0] > 10 * np.sort(found.groups)[-2]
    assert found.noise < 0.1
    assert found.interactions < 0.2 * found.groups[0]


@pytest.mark.parametrize("seed", range(3))
def test_what_nothing_explains_is_noise(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(80, 6))
    outcomes = rng.normal(size=80)
    found = estimate_components(features, np.arange(6), outcomes, Components.even(6))
    assert found.noise > 0.6
    assert found.linear < 0.3


def test_interactions_are_told_from_main_effects():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 3))
    outcomes = features[:, 0] * features[:, 1]
    found = estimate_components(
        features, np.arange(3), outcomes / outcomes.std(), Components.even(3)
    )
    assert found.interactions > 2 * found.linear


def test_a_fit_can_go_on_from_an_earlier_one():
    features, outcomes, _ = data(60)
    earlier = fit_gaussian_process(features[:50], GROUPS, outcomes[:50])
    fresh = fit_gaussian_process(features, GROUPS, outcomes)
    later = fit_gaussian_process(features, GROUPS, outcomes, earlier.components)
    rows = data(5, seed=1)[0]
    assert later.mean(rows) == pytest.approx(fresh.mean(rows), abs=0.1)

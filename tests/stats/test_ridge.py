"""Ridge regression: weights, error bars, and what a feature that never changed is worth."""

from __future__ import annotations

import numpy as np
import pytest

from gnv2_nas.stats.ridge import RidgeRecord, fit_ridge, folds, predict_held_out

TRUE = np.array([1.0, -2.0, 0.5, 0.0])


def data(rows, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, len(TRUE)))
    return features, features @ TRUE + 3 + noise * rng.normal(size=rows)


def test_it_finds_the_truth():
    features, outcomes = data(200)
    mean, std = fit_ridge(features, outcomes).predict(np.eye(4))
    assert mean == pytest.approx(TRUE + 3, abs=0.05)
    assert std == pytest.approx(np.full(4, 0.1), rel=0.2)


def test_weights_only_count_against_each_other():
    features, outcomes = data(50)
    plain = fit_ridge(features, outcomes)
    doubled = fit_ridge(features, outcomes, np.full(50, 2.0))
    assert doubled.weights == pytest.approx(plain.weights)
    assert (doubled.noise, doubled.penalty) == pytest.approx((plain.noise, plain.penalty))


def test_an_outcome_of_no_weight_teaches_nothing():
    features, outcomes = data(60)
    weights = np.repeat([1.0, 1e-9], 30)
    wrong = np.concatenate([outcomes[:30], outcomes[30:] + 100])
    rows = np.vstack([np.eye(4), np.zeros(4)])
    found, _ = fit_ridge(features, wrong, weights).predict(rows)
    assert found == pytest.approx(np.append(TRUE, 0) + 3, abs=0.2)


def test_a_feature_that_never_changed_makes_unsure_where_it_does():
    features, outcomes = data(60)
    features[:, 3] = 1.0
    usual, other = np.ones((1, 4)), np.array([[1.0, 1.0, 1.0, 2.0]])
    blind = fit_ridge(features, outcomes)
    assert blind.predict(other)[1] == pytest.approx(blind.predict(usual)[1])
    aware = fit_ridge(features, outcomes, min_scale=0.1)
    assert aware.predict(usual)[1] == pytest.approx(blind.predict(usual)[1], rel=0.1)
    assert aware.predict(other)[1] > 3 * aware.predict(usual)[1]


def test_a_limited_penalty_stays_unsure_of_rows_unlike_all_others():
    features, _ = data(30)
    noise = np.random.default_rng(2).normal(size=30)
    far = np.full((1, 4), 50.0)
    sure = fit_ridge(features, noise)
    unsure = fit_ridge(features, noise, max_penalty=1.0)
    assert unsure.penalty <= 1 < 1000 < sure.penalty
    assert unsure.predict(far)[1] > 5 * sure.predict(far)[1]


def test_a_record_gives_the_same_regression():
    features, outcomes = data(30)
    ridge = fit_ridge(features, outcomes)
    read = RidgeRecord.of(ridge).ridge(4)
    for found, before in zip(read.predict(features), ridge.predict(features), strict=True):
        assert (found == before).all()
    with pytest.raises(ValueError, match="another size"):
        RidgeRecord.of(ridge).ridge(5)


@pytest.mark.parametrize(("total", "count", "parts"), [(25, 10, 10), (5, 10, 5), (7, 7, 7)])
def test_every_number_is_in_one_fold(total, count, parts):
    found = folds(total, count)
    assert len(found) == parts
    assert sorted(np.concatenate(found)) == list(range(total))


def test_what_is_predicted_was_not_learnt_from():
    seen = []

    def fit_and_predict(known, others):
        assert not set(known) & set(others)
        seen.append(len(known))
        return others.astype(float)

    predicted = predict_held_out([np.array([3, 4])], 5, fit_and_predict)
    assert np.isnan(predicted[:3]).all()
    assert list(predicted[3:]) == [3, 4]
    assert seen == [3]

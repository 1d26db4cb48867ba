"""Intervals of Kendall's τ, against samples whose true τ is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gnv2_nas.stats.rank_agreement import agreement_gain, kendall_tau, rank_agreement


def correlated(networks: int, rho: float, rng: np.random.Generator) -> tuple[list, list]:
    """Normal pairs of correlation ρ: their τ is 2/π arcsin ρ (Kendall & Gibbons, sec. 9)."""
    x = rng.normal(size=networks)
    y = rho * x + math.sqrt(1 - rho**2) * rng.normal(size=networks)
    return x.tolist(), y.tolist()


@pytest.mark.parametrize(
    ("networks", "rho"), [(6, 0.9), (6, 0.0), (12, 0.5), (12, 0.98), (40, 0.9)]
)
def test_the_interval_holds_the_true_value_as_often_as_it_says(networks, rho):
    rng, samples = np.random.default_rng(0), 150
    true = 2 / math.pi * math.asin(rho)
    intervals = [rank_agreement(*correlated(networks, rho, rng)) for _ in range(samples)]
    held = sum(each.low <= true <= each.high for each in intervals) / samples
    assert held >= 0.91  # 95 % less twice the standard error of 150 samples


def test_more_networks_tell_more():
    rng = np.random.default_rng(1)
    few, many = (rank_agreement(*correlated(n, 0.7, rng)) for n in (10, 80))
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_it_is_around_the_tau_it_belongs_to():
    x, y = correlated(15, 0.6, np.random.default_rng(2))
    found = rank_agreement(x, y)
    assert found.tau == kendall_tau(x, y)
    assert -1 <= found.low < found.tau < found.high <= 1
    assert str(found) == f"{found.tau:.2f} [{found.low:.2f}, {found.high:.2f}]"


def test_the_right_order_of_six_networks_proves_little():
    found = rank_agreement(range(6), range(6))
    assert found.tau == found.high == 1
    assert found.low < 0.3


@pytest.mark.parametrize("scores", [[], [1, 2, 3], [5, 5, 5, 5, 5]])
def test_too_little_to_tell_anything(scores):
    assert rank_agreement(scores, range(len(scores))) is None


@pytest.mark.parametrize("networks", [4, 5, 6, 12])
def test_the_gain_of_a_score_over_itself_is_nothing_as_far_as_one_can_tell(networks):
    """Both order this sample alike: that proves little of how they order others."""
    x, y = correlated(networks, 0.5, np.random.default_rng(3))
    gain = agreement_gain(x, x, y)
    assert gain.tau == 0
    assert gain.low == -gain.high < -0.3


@pytest.mark.parametrize("networks", [4, 5, 8, 12])
@pytest.mark.parametrize("rho", [(0.8, 0.75, 0.95), (0.95, 0.9, 0.9), (0.8, 0.2, 0.3)])
@pytest.mark.parametrize("digits", [0, 3])
def test_the_interval_of_a_gain_holds_it_as_often_as_it_says(networks, rho, digits):
    """Two scores of known correlation with the accuracy and each other; accuracies of 0 digits
    are tied now and then."""
    one, other, between = rho
    root = np.linalg.cholesky([[1, one, other], [one, 1, between], [other, between, 1]])

    def drawn(networks, rng):
        accuracies, *scores = root @ rng.normal(size=(3, networks))
        return *(each.tolist() for each in scores), (2 * accuracies).round(digits).tolist()

    at_length = drawn(4000, np.random.default_rng(1))
    true = kendall_tau(at_length[0], at_length[2]) - kendall_tau(at_length[1], at_length[2])
    rng = np.random.default_rng(networks)
    gains = [agreement_gain(*drawn(networks, rng)) for _ in range(60)]
    known = [each for each in gains if each is not None]
    assert all(each.high > each.low for each in known)
    held = sum(each.low <= true <= each.high for each in known)
    assert held >= 0.9 * len(known)


def test_a_score_is_held_against_another_on_the_same_networks():
    """Both follow the accuracy closely and each other too: that one is a little better shows in
    the difference, where their intervals overlap."""
    rng = np.random.default_rng(4)
    accuracies = rng.normal(size=60)
    better = accuracies + 0.25 * rng.normal(size=60)
    worse = better + 0.35 * rng.normal(size=60)
    gain = agreement_gain(better.tolist(), worse.tolist(), accuracies.tolist())
    one, other = (rank_agreement(each.tolist(), accuracies.tolist()) for each in (better, worse))
    assert one.low < other.high
    assert gain.low > 0

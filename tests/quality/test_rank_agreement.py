"""Intervals of Kendall's τ, against samples whose true τ is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gnv2_nas.quality.rank_agreement import agreement_gain, rank_agreement
from gnv2_nas.regression.kendall import kendall_tau


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


def test_the_gain_of_a_score_over_itself_is_nothing():
    x, y = correlated(12, 0.5, np.random.default_rng(3))
    gain = agreement_gain(x, x, y)
    assert (gain.tau, gain.low, gain.high) == (0, 0, 0)


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

"""Intervals of accuracies over seeds and images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gnv2_nas.stats.trainings import estimate_accuracy, estimate_gain

IMAGES = 300
REPEATS = 300


def draw(
    rng: np.random.Generator, ease: NDArray[np.float64], trainings: int, spread: float, bonus: float
) -> NDArray[np.float64]:
    """Answers of one network: each training is luckier or not, each image easier or not."""
    luck = spread * rng.standard_normal((trainings, 1))
    noise = rng.standard_normal((trainings, len(ease)))
    return (ease + bonus + luck + noise > 0).astype(np.float64)


def true_accuracy(spread: float, bonus: float) -> float:
    """Of all trainings on all images."""
    rng = np.random.default_rng(1)
    ease = rng.normal(2, 1.5, 400_000)
    return float((ease + bonus + rng.normal(0, np.hypot(1, spread), ease.size) > 0).mean())


@pytest.mark.parametrize("trainings", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_intervals_cover_the_truth_as_often_as_they_say(trainings: int, spread: float) -> None:
    truth = [true_accuracy(spread, bonus) for bonus in (0.2, 0.0)]
    rng, gains, accuracies = np.random.default_rng(0), 0, 0
    for _ in range(REPEATS):
        ease = rng.normal(2, 1.5, IMAGES)
        one, other = (draw(rng, ease, trainings, spread, bonus) for bonus in (0.2, 0.0))
        gain, accuracy = estimate_gain(one, other), estimate_accuracy(one)
        gains += gain.low <= truth[0] - truth[1] <= gain.high
        accuracies += accuracy.low <= truth[0] <= accuracy.high
    assert 0.92 <= gains / REPEATS <= 1.0
    assert 0.88 <= accuracies / REPEATS <= 1.0


def test_the_same_images_narrow_a_difference() -> None:
    rng = np.random.default_rng(0)
    ease = rng.normal(1, 3, IMAGES)
    one, other = (draw(rng, ease, 3, 0.0, bonus) for bonus in (0.3, 0.0))
    paired = estimate_gain(one, other)
    shuffled = estimate_gain(one, other[:, rng.permutation(IMAGES)])
    assert paired.value == pytest.approx(shuffled.value)
    assert paired.high - paired.low < 0.7 * (shuffled.high - shuffled.low)


def test_seeds_that_differ_widen_the_interval_beyond_that_of_the_images() -> None:
    answers = np.zeros((3, 1000))
    for row, right in enumerate((900, 850, 800)):
        answers[row, :right] = 1
    found = estimate_accuracy(answers)
    assert found.value == pytest.approx(0.85)
    # Three accuracies with a standard deviation of 5 points: ± 4.3 × 5 / √3 points.
    assert found.high - found.low > 0.2


def test_one_training_has_the_interval_of_its_images() -> None:
    answers = np.zeros((1, 200))
    answers[0, :150] = 1
    found = estimate_accuracy(answers)
    assert (found.low, found.high) == pytest.approx((0.686, 0.805), abs=0.002)


def test_equal_answers_are_not_proof_of_equal_networks() -> None:
    answers = np.ones((3, 100))
    gain = estimate_gain(answers, answers)
    assert gain.value == 0
    assert gain.low < -0.015 < 0.015 < gain.high
    accuracy = estimate_accuracy(answers)
    assert (accuracy.value, accuracy.high) == pytest.approx((1, 1))
    assert 0.95 < accuracy.low < 0.97


def test_networks_may_have_other_numbers_of_trainings() -> None:
    rng = np.random.default_rng(0)
    ease = rng.normal(2, 1.5, IMAGES)
    many, few = draw(rng, ease, 5, 0.1, 0.0), draw(rng, ease, 2, 0.1, 0.0)
    one, other = estimate_gain(many, few), estimate_gain(few, many)
    assert one.value == pytest.approx(-other.value)
    assert one.low == pytest.approx(-other.high)

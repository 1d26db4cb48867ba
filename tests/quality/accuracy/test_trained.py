"""Short trainings as a score: the contract, and which trainings are stopped."""

from __future__ import annotations

from typing import ClassVar

import pytest

from gnv2_nas.errors import InputError
from gnv2_nas.graph import count
from gnv2_nas.quality import QualityContext, get_estimator
from gnv2_nas.quality.accuracy.trained import MIN_RIVALS, Rungs, TrainedAccuracy, short_recipe
from gnv2_nas.training import TrainingPoint, default_recipe, train_network
from tests.quality.estimator_contract import EstimatorContract
from tests.quality.small_data import digits, small_context, small_networks

MACS = 1000


class TestContract(EstimatorContract):
    networks: ClassVar = dict(zip("ab", small_networks(2), strict=True))

    @pytest.fixture
    def spec(self):
        return "train"

    @staticmethod
    def context():
        return small_context()


def point(step: int, accuracy: float | None, steps: int = 40) -> TrainingPoint:
    return TrainingPoint(
        step=step, steps=steps, epoch=1.0, loss=1.0, accuracy=accuracy, learning_rate=0.1,
        seconds=1.0, seconds_left=1.0,
    )  # fmt: skip


@pytest.fixture
def rungs() -> Rungs:
    """Enough networks were at 60 to 66 % after a quarter of the steps."""
    rungs = Rungs()
    for rival in range(MIN_RIVALS):
        assert not rungs.should_stop(point(10, 0.60 + 0.02 * rival), MACS)
    return rungs


def test_the_lower_half_is_stopped_at_a_rung(rungs):
    assert rungs.should_stop(point(10, 0.62), MACS)
    assert not rungs.should_stop(point(10, 0.64), MACS)


def test_nothing_is_stopped_before_there_is_enough_to_compare():
    rungs = Rungs()
    stopped = [rungs.should_stop(point(10, 0.9 - 0.1 * number), MACS) for number in range(6)]
    assert stopped == [False] * MIN_RIVALS + [True] * (6 - MIN_RIVALS)


def test_a_small_network_is_not_held_against_larger_ones(rungs):
    assert not rungs.should_stop(point(10, 0.20), MACS - 1)
    assert rungs.should_stop(point(10, 0.20), MACS + 1)


def test_rungs_do_not_mix(rungs):
    assert not rungs.should_stop(point(20, 0.30), MACS)
    assert not rungs.should_stop(point(30, 0.10), MACS)
    assert not rungs.should_stop(point(40, 0.10), MACS)


def test_where_nobody_looked_nothing_is_stopped(rungs):
    assert not rungs.should_stop(point(10, None), MACS)


def test_a_hopeless_network_scores_what_it_had_when_it_was_stopped():
    arch = small_networks(1)[0]
    estimator = TrainedAccuracy(None, small_context())
    steps = estimator.recipe.steps
    for _ in range(MIN_RIVALS):
        estimator.rungs.should_stop(point(steps // 4, 1.0, steps), macs=1)
    early = train_network(
        arch, digits(), estimator.recipe, None, stop_when=lambda now: now.step >= steps // 4
    )
    assert early.history[-1].step == steps // 4
    assert estimator.score(arch) == 100 * early.accuracy
    assert count(arch).macs > 1


def test_it_is_a_quarter_of_a_whole_training():
    data = digits()
    assert short_recipe(data).steps == pytest.approx(default_recipe(data).steps / 4, abs=1)
    assert short_recipe(data, inherited=True).steps < short_recipe(data).steps


def test_other_seeds_are_other_trainings():
    arch = small_networks(1)[0]
    recipe = short_recipe(digits()).replace(steps=4)
    context = small_context(val=400)

    def score(seed: int) -> float:
        context_of_seed = QualityContext(context.space, context.dataset, seed)
        return TrainedAccuracy(None, context_of_seed, recipe).score(arch)

    # Two trainings may end with the same number of right answers.
    first = score(0)
    assert any(score(seed) != first for seed in range(1, 4))


def test_the_label_tells_how_long_and_on_what():
    recipe, note = short_recipe(digits()), get_estimator("train", small_context()).info.note
    assert "on 32 held-out images of digits" in note
    assert f"after {recipe.steps * recipe.batch_size / 16:.3g} epochs from scratch" in note


def test_it_needs_images():
    with pytest.raises(InputError, match="--data"):
        get_estimator("train")

"""Losses that are not finite, and memory that does not suffice."""

from __future__ import annotations

import math

import pytest
import torch

from gnv2_nas.errors import TrainingError
from gnv2_nas.nn import build_model
from gnv2_nas.quality.training.conditions import Conditions
from gnv2_nas.quality.training.distributed import World
from gnv2_nas.quality.training.history import unobserved
from gnv2_nas.quality.training.inputs import TrainingInputs
from gnv2_nas.quality.training.network_task import NetworkTask
from gnv2_nas.quality.training.state import state_path
from gnv2_nas.quality.training.stepper import Stepper
from gnv2_nas.quality.training.trainer import Trainer
from tests.quality.training.small import digits, short_recipe, small_network, train, weights


def test_a_loss_that_is_not_finite_stops_the_training_and_keeps_the_last_good_state(tmp_path):
    output = tmp_path / "small.safetensors"
    recipe = short_recipe(200, learning_rate=1e18, label_smoothing=0.0)
    with pytest.raises(TrainingError) as failure:
        train(output, recipe=recipe, save_every=0.0)
    message = str(failure.value)
    assert "\n" not in message
    assert "of step" in message
    assert "lower learning rate (now 1e+18), clipped gradients (clip_norm, now 0)" in message
    assert f"{str(state_path(output))!r} keeps the last good state" in message
    assert not output.exists()
    state = torch.load(state_path(output), weights_only=True)["state"]
    assert state["step"] >= 1
    assert all(torch.isfinite(value).all() for value in state["module"].values())
    assert math.isfinite(state["loss"])


class Hungry(NetworkTask):
    """Needs more memory than there is for more than so many images."""

    images = 5

    def losses(self, images, labels, step):
        if len(images) > self.images:
            torch.empty(1 << 50)
        yield from super().losses(images, labels, step)


class Starving(Hungry):
    images = 1


def conditions_of(**changes) -> Conditions:
    return Conditions.make(short_recipe(3, **changes), 0, torch.device("cpu"), World())


def task_of(kind: type[NetworkTask], conditions: Conditions) -> NetworkTask:
    torch.manual_seed(0)
    return kind(build_model(small_network()), digits(), conditions)


def trainer(kind: type[NetworkTask], observer=unobserved, **changes) -> Trainer:
    conditions = conditions_of(**changes)
    task = task_of(kind, conditions)
    return Trainer(task, digits(), conditions, state_file=None, observer=observer)


def test_where_memory_runs_out_the_micro_batch_is_halved_and_the_batch_stays():
    points = []
    hungry = trainer(Hungry, observer=points.append, dropout=0.0)
    hungry.run()
    notes = [point.note for point in points]
    assert notes[0].count("memory ran out with") == 3
    assert "going on with 8 micro-batches of 4, the batch stays at 32" in notes[0]
    assert notes[1:] == ["", ""]
    # The same updates as a training that was asked for such micro-batches.
    asked = trainer(NetworkTask, accumulate=8, dropout=0.0)
    asked.run()
    found, expected = weights(hungry.average.module), weights(asked.average.module)
    assert all(
        torch.equal(found[key], expected[key]) for key in expected if "running" not in key
        and "tracked" not in key
    )  # fmt: skip


def test_where_two_images_are_too_many_it_says_what_would_fit():
    with pytest.raises(TrainingError, match=r"with 2 images of 16x16 .*lower resolution") as error:
        trainer(Starving).run()
    assert "\n" not in str(error.value)


def test_other_failures_are_not_taken_for_missing_memory():
    class Broken(NetworkTask):
        def losses(self, images, labels, step):
            yield from super().losses(images[:, :2], labels, step)

    with pytest.raises(RuntimeError, match="channels"):
        trainer(Broken).run()


def test_micro_batches_add_up_to_the_gradient_of_the_batch():
    """Batch norm sees each micro-batch alone, so the norms are left out of the comparison."""
    gradients = []
    for accumulate in (1, 4):
        conditions = conditions_of(accumulate=accumulate, dropout=0.0)
        task = task_of(NetworkTask, conditions)
        task.module.eval()
        inputs = TrainingInputs(digits(), conditions, task.resolution)
        Stepper(task, conditions, tell=print).gradients(0, *next(inputs.from_step(0)))
        gradients.append({key: weight.grad for key, weight in task.module.named_parameters()})
    for key, expected in gradients[0].items():
        assert torch.allclose(gradients[1][key], expected, atol=1e-6, rtol=1e-4), key

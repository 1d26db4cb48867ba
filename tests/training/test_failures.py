"""Losses that are not finite, and memory that does not suffice."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gnv2_nas.errors import TrainingError
from gnv2_nas.nn import build_model
from gnv2_nas.training.context import TrainingContext, World
from gnv2_nas.training.history import ignore_point, state_path
from gnv2_nas.training.stepper import Stepper, TrainingInputs
from gnv2_nas.training.task import NetworkTask, find_correct
from gnv2_nas.training.trainer import Trainer
from tests.training.small import digits, short_recipe, small_network, train, weights


def test_a_loss_that_is_not_finite_stops_the_training_and_keeps_the_last_good_state(tmp_path):
    output = tmp_path / "small.safetensors"
    recipe = short_recipe(200, learning_rate=1e30, label_smoothing=0.0)
    with pytest.raises(TrainingError) as failure:
        train(output, recipe=recipe, save_every=0.0)
    message = str(failure.value)
    assert "\n" not in message
    assert "of step" in message
    assert "lower learning rate (now 1e+30), gradient clipping (clip_norm, now 0)" in message
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


def context_of(**changes) -> TrainingContext:
    return TrainingContext.make(short_recipe(3, **changes), 0, torch.device("cpu"), World())


def task_of(kind: type[NetworkTask], context: TrainingContext) -> NetworkTask:
    torch.manual_seed(0)
    return kind(build_model(small_network()), digits(), context)


def trainer(kind: type[NetworkTask], observer=ignore_point, **changes) -> Trainer:
    context = context_of(**changes)
    task = task_of(kind, context)
    return Trainer(task, digits(), context, state_file=None, observer=observer)


def test_where_memory_runs_out_the_micro_batch_is_halved_and_the_batch_stays():
    points = []
    hungry = trainer(Hungry, observer=points.append, dropout=0.0)
    hungry.run()
    notes = [point.note for point in points]
    assert notes[0].count("memory ran out with") == 3
    assert "continuing with 8 micro-batches of 4, the batch stays at 32" in notes[0]
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


def test_where_micro_batches_do_not_help_it_is_still_one_line():
    class Proud(NetworkTask):
        def evaluate(self, module):
            torch.empty(1 << 50)
            return super().evaluate(module)

    with pytest.raises(TrainingError, match=r"a smaller batch_size \(now 32\)") as failure:
        trainer(Proud).run()
    assert "\n" not in str(failure.value)


def test_evaluation_halves_its_batches_where_memory_runs_out():
    def hungry(images):
        if len(images) > 50:
            torch.empty(1 << 50)
        return torch.eye(10)[torch.zeros(len(images), dtype=torch.int64)]

    split = digits().val
    right = find_correct(hungry, split, 16, digits().preprocessing)
    assert torch.equal(right, split.labels == 0)


def test_other_failures_are_not_taken_for_missing_memory():
    class Broken(NetworkTask):
        def losses(self, images, labels, step):
            yield from super().losses(images[:, :2], labels, step)

    with pytest.raises(RuntimeError, match="channels"):
        trainer(Broken).run()


class Linear:
    """A task without batch norm, which sees each micro-batch alone."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = nn.Linear(3 * 16 * 16, 10)

    def resolution(self, step):  # noqa: ARG002
        return 16

    def losses(self, images, labels, step):  # noqa: ARG002
        yield F.cross_entropy(self.module(images.flatten(1)), labels)
        yield 0.1 * self.module.weight.square().sum()


def test_micro_batches_add_up_to_the_gradient_of_the_batch():
    found = []
    for accumulate in (1, 3):
        task, context = Linear(), context_of(accumulate=accumulate)
        inputs = TrainingInputs(digits(), context, task.resolution)
        loss, norm = Stepper(task, context, tell=print).gradients(0, *next(inputs.from_step(0)))
        found.append((loss, norm, task.module.weight.grad, task.module.bias.grad))
    for whole, parts in zip(*found, strict=True):
        assert torch.allclose(whole, parts, atol=1e-6, rtol=1e-4)

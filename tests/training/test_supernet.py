"""Training a supernet: which networks learn in a step, from what, and what is written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph import count
from gnv2_nas.nn.supernet import Supernet
from gnv2_nas.nn.supernet.supernet import load_supernet
from gnv2_nas.space import SearchSpace, load_space
from gnv2_nas.training import Recipe, train_supernet
from gnv2_nas.training.context import TrainingContext, World
from gnv2_nas.training.supernet_task import Sandwich, SupernetTask, extremes
from tests.search.spaces import space_of
from tests.training.small import digits, same, short_recipe, weights

SPACE = """\
base: ghostnetv2-1.0
num_classes: 1000
axes:
  resolution: {choices: [16, 24]}
  width: {choices: [0.1, 0.2]}
  expansion: {choices: [1, 2]}
  placement: {per: stage, choices: [none, first]}
  depth: {per: stage, choices: [-1], overrides: {stage1: [0], stage4: [-3], stage5: [-3, -2]}}
"""
RECIPE = short_recipe(4, evaluations=1, clip_norm=1.0, dropout=0.0)


@pytest.fixture
def space(tmp_path) -> SearchSpace:
    return space_of(tmp_path, SPACE)


def task_of(space: SearchSpace, recipe: Recipe) -> SupernetTask:
    context = TrainingContext.make(recipe, 0, torch.device("cpu"), World())
    torch.manual_seed(0)
    own = space.with_classes(10)
    return SupernetTask(Supernet(own.supernet_spec), own, digits(), context)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 3), st.sampled_from(["genes", "macs"]))
def test_a_step_has_the_largest_the_smallest_and_random_networks_of_one_resolution(
    step, random_networks, sampling
):
    space = load_space("tiny")
    recipe = RECIPE.replace(random_networks=random_networks, sampling=sampling)
    sandwich = Sandwich(space, recipe, seed=3)
    resolution, networks = sandwich.resolution(step), sandwich.networks(step)
    assert {arch.resolution for arch in networks} == {resolution}
    assert (networks[0], networks[-1]) == extremes(space, resolution)
    assert len(networks) == 2 + random_networks
    assert all(space.encode(arch) for arch in networks)
    assert networks == Sandwich(space, recipe, seed=3).networks(step)


def test_steps_and_seeds_differ_and_every_resolution_has_its_turn():
    space = load_space("tiny")
    sandwich, other = Sandwich(space, RECIPE, seed=0), Sandwich(space, RECIPE, seed=1)
    drawn = Counter(sandwich.resolution(step) for step in range(900))
    assert set(drawn) == set(space.resolutions)
    # Networks trained alone all get the same number of steps, whatever their resolution.
    assert max(drawn.values()) < 1.2 * min(drawn.values())
    between = [tuple(sandwich.networks(step)[1:-1]) for step in range(10)]
    assert len(set(between)) == 10
    assert between != [tuple(other.networks(step)[1:-1]) for step in range(10)]


def test_sampling_by_multiply_adds_reaches_the_large_networks():
    space = load_space("tiny")

    def middle(sampling: str) -> float:
        sandwich = Sandwich(space, RECIPE.replace(sampling=sampling), seed=0)
        shares = []
        for step in range(40):
            largest, *between, smallest = (count(arch).macs for arch in sandwich.networks(step))
            shares += [(macs - smallest) / (largest - smallest) for macs in between]
        return sorted(shares)[len(shares) // 2]

    assert middle("macs") > 1.5 * middle("genes")


def losses_of(task: SupernetTask, labels: torch.Tensor) -> list[torch.Tensor]:
    images = torch.randn(8, 3, task.resolution(0), task.resolution(0), generator=torch.Generator())
    return list(task.losses(images, labels, step=0))


def test_only_the_largest_network_learns_from_labels(space):
    task = task_of(space, RECIPE)
    zeros, ones = (losses_of(task, torch.full((8,), label)) for label in (0, 1))
    assert zeros[0] != ones[0]
    assert zeros[1:] == ones[1:]


def test_without_distillation_all_learn_from_labels(space):
    task = task_of(space, RECIPE.replace(distillation=0.0, label_smoothing=0.0))
    images = torch.randn(8, 3, task.resolution(0), task.resolution(0), generator=torch.Generator())
    labels = torch.arange(8)
    networks = Sandwich(space.with_classes(10), RECIPE, seed=0).networks(0)
    expected = [F.cross_entropy(task.module(images, arch), labels) for arch in networks]
    assert torch.allclose(torch.stack(list(task.losses(images, labels, 0))), torch.stack(expected))


def test_the_teacher_is_not_taught_by_its_students(space):
    task = task_of(space, RECIPE.replace(random_networks=0))
    _, loss = losses_of(task, torch.zeros(8, dtype=torch.int64))
    loss.backward()
    # The last channels of the last convolution belong to the largest network alone.
    gradient = task.module.last.weight.grad
    largest, smallest = extremes(space, 16)
    used = smallest.conv_channels
    assert used < largest.conv_channels
    assert gradient[:used].abs().sum() > 0
    assert gradient[used:].abs().sum() == 0


def test_it_learns_and_writes_what_it_learnt(space, tmp_path):
    output = tmp_path / "supernet.safetensors"
    recipe = short_recipe(24, learning_rate=0.2, clip_norm=1.0, dropout=0.0, evaluations=1)
    space = space_of(tmp_path, SPACE.replace("[16, 24]", "[16]"))
    result = train_supernet(space, digits(), recipe, output, device="cpu")
    assert result.accuracy > 0.2
    supernet, record = load_supernet(output)
    assert same(weights(supernet), weights(result.model))
    own = space.with_classes(10)
    assert (record.space_hash, record.supernet_spec) == (own.content_hash, own.supernet_spec)
    assert (record.data_hash, record.steps) == (digits().content_hash, 24)
    assert record.largest_accuracy == result.accuracy == result.history[-1].accuracy
    assert record.smallest_accuracy == result.smallest_accuracy
    assert result.history[-1].smallest_accuracy == result.smallest_accuracy
    assert not output.with_name("supernet.safetensors.resume").exists()


class StopError(Exception):
    """From an observer."""


def stopped(space: SearchSpace, output: Path) -> None:
    """Leaves the state after two steps behind."""

    def look(point):
        if point.step == 3:
            raise StopError

    with pytest.raises(StopError):
        train_supernet(space, digits(), RECIPE, output, device="cpu", observer=look, save_every=0.0)


def test_stopped_and_resumed_it_ends_with_the_same_weights(space, tmp_path):
    output = tmp_path / "stopped.safetensors"
    stopped(space, output)
    resumed = train_supernet(space, digits(), RECIPE, output, device="cpu")
    assert "resuming after step 2 of 4" in resumed.history[0].note
    whole = tmp_path / "through.safetensors"
    through = train_supernet(space, digits(), RECIPE, whole, device="cpu")
    assert same(weights(resumed.model), weights(through.model))
    assert resumed.accuracy == through.accuracy


def test_the_state_of_another_space_is_refused(space, tmp_path):
    output = tmp_path / "stopped.safetensors"
    stopped(space, output)
    other = space_of(tmp_path, SPACE.replace("0.2", "0.3"), name="other")
    with pytest.raises(CheckpointError, match=r"space was \w+ and is \w+; .*delete the file"):
        train_supernet(other, digits(), RECIPE, output, device="cpu")

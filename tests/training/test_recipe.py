"""Recipes: what they refuse, how the defaults scale, and the average of the weights."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gnv2_nas.errors import InputError
from gnv2_nas.training import Recipe, default_recipe
from gnv2_nas.training.optimization import (
    WeightAverage,
    average_decay,
    evaluation_steps,
    learning_rate,
)


def images(count: int) -> SimpleNamespace:
    return SimpleNamespace(train=range(count))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0), ("batch_size", 1), ("learning_rate", 0.0), ("learning_rate", float("nan")),
        ("weight_decay", -1e-4), ("warmup", 1.0), ("label_smoothing", 1.0), ("dropout", -0.1),
        ("clip_norm", float("inf")), ("ema_decay", 1.0), ("augmentation", -1.0),
        ("accumulate", 17), ("evaluations", 0), ("random_networks", -1), ("distillation", 1.5),
        ("recalibration_images", 1),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_by_name(field, value):
    recipe = Recipe(steps=10, batch_size=32, learning_rate=0.1)
    with pytest.raises(InputError, match=rf"^{field} must be .*, but got {value}$"):
        recipe.replace(**{field: value})


def test_the_defaults_of_imagenet_are_those_of_the_papers():
    recipe = default_recipe(images(1_281_167), epochs=400)
    assert (recipe.batch_size, recipe.learning_rate) == (1024, 0.4)
    assert recipe.steps == pytest.approx(500_000, rel=0.01)
    assert (recipe.warmup, recipe.ema_decay) == (5 / 400, 0.9999)
    assert (recipe.weight_decay, recipe.label_smoothing, recipe.dropout) == (4e-5, 0.1, 0.2)


@given(st.integers(2, 10**7), st.booleans(), st.booleans())
def test_the_defaults_fit_any_number_of_images(count, supernet, inherited):
    recipe = default_recipe(images(count), supernet=supernet, inherited=inherited)
    assert recipe.batch_size <= max(2, count // 4)
    assert recipe.batch_size >= min(16, max(2, count // 8))
    more = default_recipe(images(10 * count), supernet=supernet, inherited=inherited)
    if count >= 256:  # with fewer, a quarter of them is a small batch, which takes more steps
        assert more.steps >= recipe.steps
    assert more.learning_rate >= recipe.learning_rate


def test_epochs_or_steps_but_not_both():
    assert default_recipe(images(1000), steps=7).steps == 7
    recipe = default_recipe(images(1000), epochs=3, batch_size=10)
    assert (recipe.steps, recipe.batch_size) == (300, 10)
    with pytest.raises(InputError, match=r"either epochs or steps, .*epochs=3 and steps=7"):
        default_recipe(images(1000), epochs=3, steps=7)


@given(st.integers(1, 2000), st.floats(0, 0.5))
def test_the_learning_rate_rises_and_then_falls_to_nothing(steps, warmup):
    recipe = Recipe(steps=steps, batch_size=2, learning_rate=0.3, warmup=warmup)
    rates = [learning_rate(recipe, step) for step in range(steps)]
    peak = rates.index(max(rates))
    assert peak == round(warmup * steps) or steps == peak + 1
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert all(0 < rate <= 0.3 for rate in rates)
    assert learning_rate(recipe, steps) == pytest.approx(0)


def test_the_average_forgets_the_initial_weights():
    recipe = Recipe(steps=10**6, batch_size=2, learning_rate=0.1, ema_decay=0.9999)
    assert average_decay(recipe, 0) == 0.1
    assert average_decay(recipe, 10**6) == 0.9999
    kept = 1.0
    for step in range(100):
        kept *= average_decay(recipe, step)
    assert kept < 1e-9


@given(st.integers(1, 500), st.integers(1, 30))
def test_evaluations_are_spread_and_the_last_is_at_the_end(steps, times):
    recipe = Recipe(steps=steps, batch_size=2, learning_rate=0.1, evaluations=times)
    found = sorted(evaluation_steps(recipe))
    assert len(found) == min(times, steps)
    assert found[-1] == steps
    gaps = {after - before for before, after in zip([0, *found], found, strict=False)}
    assert max(gaps) - min(gaps) <= 1


def test_the_average_is_that_of_the_formula_and_leaves_the_module_alone():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = WeightAverage(module)
    expected = module[0].weight.detach().clone()
    for step in range(1, 4):
        with torch.no_grad():
            module[0].weight.fill_(step)
        module(torch.randn(4, 2))
        average.update(0.75)
        expected = 0.75 * expected + 0.25 * step
    assert torch.allclose(average.module[0].weight, expected)
    assert torch.equal(module[0].weight, torch.full((3, 2), 3.0))
    assert not torch.equal(average.module[1].running_mean, module[1].running_mean)
    assert average.module[1].num_batches_tracked == 3
    assert not any(weight.requires_grad for weight in average.module.parameters())

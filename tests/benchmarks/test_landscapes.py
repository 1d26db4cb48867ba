"""Landscapes: exact where they claim to be, deterministic, and noisy by as much as they say."""

from __future__ import annotations

import random
import statistics

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.landscapes.drawing import draw_params, from_digits, to_digits
from benchmarks.landscapes.mobile import (
    DEPTHS,
    EXPANSIONS,
    KERNELS,
    LARGEST_ACCURACY,
    NOISE,
    SMALLEST_ACCURACY,
    Mobile,
    uniform_params,
)
from benchmarks.landscapes.mobile_macs import BLOCKS, STAGES, multiply_adds
from benchmarks.landscapes.opening import LANDSCAPES, open_landscape
from gnv2_nas.arch import Architecture, MobileBlock, make_divisible, preset
from gnv2_nas.graph import count


@st.composite
def mobile_params(draw):
    params = {"resolution": draw(st.sampled_from(range(128, 225, 16)))}
    for stage in range(len(STAGES)):
        params[f"depth.{stage}"] = draw(st.sampled_from(DEPTHS))
        for block in range(BLOCKS):
            params[f"kernel.{stage}.{block}"] = draw(st.sampled_from(KERNELS))
            params[f"expansion.{stage}.{block}"] = draw(st.sampled_from(EXPANSIONS))
    return params


def as_architecture(params) -> Architecture:
    channels, blocks = 16, [MobileBlock(16, 16)]
    for stage, (out, stride, squeezed) in enumerate(STAGES):
        for block in range(params[f"depth.{stage}"]):
            hidden = make_divisible(channels * params[f"expansion.{stage}.{block}"], 8)
            blocks.append(
                MobileBlock(
                    hidden_channels=hidden,
                    out_channels=out,
                    kernel=params[f"kernel.{stage}.{block}"],
                    stride=stride if block == 0 else 1,
                    se_channels=make_divisible(hidden / 4, 8) if squeezed else 0,
                )
            )
            channels = out
    return Architecture(tuple(blocks), resolution=params["resolution"])


@settings(max_examples=25, deadline=None)
@given(mobile_params())
def test_multiply_adds_are_those_of_the_network(params):
    assert multiply_adds(params) == count(as_architecture(params)).macs


@settings(max_examples=25, deadline=None)
@given(mobile_params(), st.data())
def test_genes_of_absent_blocks_change_nothing(params, data):
    landscape = Mobile(data.draw(st.integers(0, 20)))
    changed = dict(params)
    for stage in range(len(STAGES)):
        for block in range(params[f"depth.{stage}"], BLOCKS):
            changed[f"kernel.{stage}.{block}"] = data.draw(st.sampled_from(KERNELS))
            changed[f"expansion.{stage}.{block}"] = data.draw(st.sampled_from(EXPANSIONS))
    assert landscape.true_values(changed) == landscape.true_values(params)


@pytest.mark.parametrize("instance", range(5))
def test_every_instance_spans_the_same_accuracies(instance):
    landscape = Mobile(instance)
    smallest = landscape.true_values(uniform_params(2, 3, 3, 128))
    largest = landscape.true_values(uniform_params(4, 7, 6, 224))
    assert smallest[0] == pytest.approx(SMALLEST_ACCURACY)
    assert largest[0] == pytest.approx(LARGEST_ACCURACY)
    # Both inside the reference, or the ends of a front would count for nothing.
    assert smallest[0] > landscape.reference[0]
    assert largest[1] < landscape.reference[1]


def test_instances_differ_and_the_same_one_does_not():
    params = uniform_params(3, 5, 4, 176)
    accuracies = [Mobile(instance).true_values(params)[0] for instance in range(10)]
    assert len(set(accuracies)) == 10
    assert Mobile(3).true_values(params)[0] == accuracies[3]


@pytest.mark.parametrize("name", LANDSCAPES)
def test_optuna_can_search_it_knowing_nothing(name):
    landscape = open_landscape(name, 0)
    study = optuna.create_study(
        directions=list(landscape.directions), sampler=optuna.samplers.RandomSampler(seed=0)
    )
    trial = study.ask()
    params = landscape.suggest(trial)
    assert trial.params == params
    assert len(params) >= 40
    values = landscape.evaluate(params, random.Random(0))
    study.tell(trial, list(values))
    assert values == landscape.evaluate(params, random.Random(0))
    assert values != landscape.true_values(params)


def test_noise_is_as_large_as_documented():
    params, rng, landscape = uniform_params(3, 5, 4, 176), random.Random(0), Mobile()
    accuracy, macs = landscape.true_values(params)
    found = [landscape.evaluate(params, rng) for _ in range(400)]
    assert statistics.mean(each[0] for each in found) == pytest.approx(accuracy, abs=4 * NOISE / 20)
    assert statistics.stdev(each[0] for each in found) == pytest.approx(NOISE, rel=0.15)
    assert {each[1] for each in found} == {macs}


def test_the_fitted_truth_knows_the_stock_network():
    landscape = open_landscape("ghostnetv2", 0)
    params = landscape.space.encode(preset("ghostnetv2-1.0"))
    assert landscape.true_values(params)[1] == pytest.approx(1.0, abs=0.12)


def test_the_fitted_truth_is_the_same_for_one_and_for_many():
    landscape, rng = open_landscape("ghostnetv2", 0), random.Random(0)
    many = [draw_params(landscape.space, rng) for _ in range(5)]
    together = landscape.true_values_of(many)
    for params, row in zip(many, together, strict=True):
        assert landscape.true_values(params) == pytest.approx(tuple(row))


def test_digits_are_the_genotype():
    space, rng = open_landscape("ghostnetv2", 0).space, random.Random(0)
    for _ in range(20):
        params = draw_params(space, rng)
        assert from_digits(space, to_digits(space, params)) == params

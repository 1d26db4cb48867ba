"""Graphs run without modules: the same numbers as the modules, in both modes, and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.graph import lower
from gnv2_nas.nn import Network, build_model, run_graph
from tests.networks import difference, random_model
from tests.strategies import architectures
from tests.supernets import random_images


def training_model(arch: Architecture) -> Network:
    """Random weights, training mode, no dropout."""
    model = random_model(arch).train()
    model.dropout.p = 0.0
    return model


@settings(max_examples=30, deadline=None)
@given(architectures())
def test_evaluation_with_folded_statistics(arch: Architecture) -> None:
    model, images = random_model(arch), random_images(arch, 2)
    state = model.state_dict()
    with torch.inference_mode():
        found = run_graph(lower(arch), state, images, statistics=state)
        assert difference(found, model(images)) < 1e-4


@settings(max_examples=25, deadline=None)
@given(architectures())
def test_training_is_the_same_to_the_last_bit_gradients_included(arch: Architecture) -> None:
    model, images = training_model(arch), random_images(arch)
    tensors = {key: value.detach().requires_grad_() for key, value in model.named_parameters()}
    found, expected = run_graph(lower(arch), tensors, images), model(images)
    assert torch.equal(found, expected)
    expected.square().sum().backward()
    found.square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(gradient(tensors[key]), parameter.grad, rtol=1e-4, atol=1e-5), key


def gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


@settings(max_examples=20, deadline=None)
@given(architectures())
def test_statistics_move_as_those_of_modules(arch: Architecture) -> None:
    model, images = training_model(arch), random_images(arch)
    statistics = {key: value.clone() for key, value in model.named_buffers() if "running" in key}
    with torch.no_grad():
        run_graph(lower(arch), model.state_dict(), images, statistics=statistics, momentum=0.1)
        model(images)
    for key, value in statistics.items():
        assert torch.allclose(value, model.state_dict()[key], rtol=1e-5, atol=1e-6), key


def test_memory_format_of_the_images_changes_no_result() -> None:
    arch = preset("ghostnetv2-1.0").replace(resolution=64, num_classes=10)
    state, images = random_model(arch).state_dict(), random_images(arch)
    nhwc = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        found = run_graph(lower(arch), state, nhwc, statistics=state)
        assert difference(found, run_graph(lower(arch), state, images, statistics=state)) < 1e-4


@pytest.mark.parametrize("name", ["ghostnetv2-1.0", "mobilenetv3-large-0.75"])
def test_images_and_weights_are_left_as_they_are(name: str) -> None:
    arch = preset(name).replace(resolution=32, num_classes=3)
    state, images = random_model(arch).state_dict(), random_images(arch)
    before = {key: value.clone() for key, value in state.items()}
    copy = images.clone()
    with torch.inference_mode():
        run_graph(lower(arch), state, images, statistics=state)
        run_graph(lower(arch), state, images)
    assert torch.equal(images, copy)
    assert all(torch.equal(state[key], value) for key, value in before.items())


def test_dropout_only_where_asked_for() -> None:
    arch = preset("ghostnet-1.0").replace(resolution=32, num_classes=3)
    state, images = build_model(arch).state_dict(), random_images(arch)
    with torch.inference_mode():
        first, again = (run_graph(lower(arch), state, images) for _ in range(2))
        dropped = run_graph(lower(arch), state, images, dropout=0.5)
    assert torch.equal(first, again)
    assert not torch.equal(first, dropped)


def test_every_operator_may_be_watched() -> None:
    arch = preset("ghostnet-1.0").replace(resolution=32, num_classes=3)
    graph, shapes = lower(arch), []
    with torch.inference_mode():
        run_graph(
            graph,
            build_model(arch).state_dict(),
            random_images(arch, 2),
            observe=lambda op, output: shapes.append((op.name, output.shape[1])),
        )
    assert shapes == [(op.name, op.shape[0]) for op in graph.ops[1:]]

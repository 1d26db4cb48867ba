"""The graph against the torch module: shapes of maps and of weights, order, names."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.graph import Graph, lower
from gnv2_nas.graph.compatibility import expected_shapes, optional_shapes
from gnv2_nas.nn import Network, build_model
from tests.networks import PRESETS
from tests.strategies import architectures

KINDS = {
    "input", "conv", "relu", "hard_swish", "sigmoid", "hard_sigmoid", "avg_pool", "max_pool",
    "global_pool", "resize", "concat", "slice", "add", "mul", "linear",
}  # fmt: skip


def activations(model: Network) -> dict[str, tuple[int, ...]]:
    """Module name → shape of what it put out, without the batch."""
    shapes: dict[str, tuple[int, ...]] = {}

    def remember(name: str, module: nn.Module) -> None:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            shapes[name] = tuple(output.shape[1:])

        module.register_forward_hook(hook)

    for name, module in model.named_modules():
        remember(name, module)
    side = model.architecture.resolution
    with torch.no_grad():
        model.eval()(torch.zeros(1, 3, side, side))
    return shapes


@settings(max_examples=30, deadline=None)
@given(architectures())
def test_shapes_are_those_of_the_module(arch: Architecture) -> None:
    shapes, graph = activations(build_model(arch)), lower(arch)
    compared = 0
    for op in graph.ops:
        real = shapes.get(op.weight or op.name)
        if real is not None:
            assert (*real, 1, 1)[:3] == op.shape, op
            compared += 1
        for last in (".attend", ".add"):
            if op.name.endswith(last):
                assert shapes[op.name.removesuffix(last)] == op.shape
    assert compared >= sum(op.kind in ("conv", "linear") for op in graph.ops)


def assert_state_dict_fits(arch: Architecture) -> None:
    graph, state_dict = lower(arch), build_model(arch).state_dict()
    shapes = {key: tuple(value.shape) for key, value in state_dict.items()}
    assert shapes == expected_shapes(graph) | optional_shapes(graph)


@settings(max_examples=30, deadline=None)
@given(architectures())
def test_weights_are_those_of_the_module(arch: Architecture) -> None:
    assert_state_dict_fits(arch)


@pytest.mark.parametrize("name", PRESETS)
def test_weights_of_the_presets(name: str) -> None:
    assert_state_dict_fits(preset(name))


def assert_well_formed(graph: Graph) -> None:
    assert len({op.name for op in graph.ops}) == len(graph.ops)
    assert {op.kind for op in graph.ops} <= KINDS
    assert (graph.ops[0].kind, graph.output.kind) == ("input", "linear")
    for number, op in enumerate(graph.ops):
        assert all(0 <= source < number for source in op.inputs)
        assert min(op.shape) >= 1
        if op.kind in ("conv", "linear", "avg_pool", "max_pool"):
            assert op.in_channels == graph.ops[op.inputs[0]].shape[0]
        if op.kind == "add":
            assert {graph.ops[source].shape for source in op.inputs} == {op.shape}
    assert graph.last_uses()[-1] == len(graph.ops) - 1


@settings(max_examples=30, deadline=None)
@given(architectures())
def test_graphs_are_well_formed(arch: Architecture) -> None:
    assert_well_formed(lower(arch))


@pytest.mark.parametrize("resolution", [1, 17, 32, 96, 160, 224, 225, 320])
@pytest.mark.parametrize("name", PRESETS)
def test_presets_at_any_resolution(name: str, resolution: int) -> None:
    assert_well_formed(lower(preset(name).replace(resolution=resolution)))


def test_nothing_superfluous_in_stock_v2() -> None:
    """No slice that keeps everything, one hard sigmoid a gate."""
    kinds = [op.kind for op in lower(preset("ghostnetv2-1.0")).ops]
    assert kinds.count("slice") == 0
    assert kinds.count("hard_sigmoid") == 7
    assert kinds.count("sigmoid") == kinds.count("resize") == kinds.count("avg_pool") == 14

"""The written ONNX: valid, runs in ONNX Runtime, agrees with the torch module."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from torch.nn import functional as F

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, preset
from gnv2_nas.errors import CheckpointError
from gnv2_nas.formats.onnx.writer import onnx_bytes, write_graph
from gnv2_nas.graph import Graph, Op
from gnv2_nas.graph.weights import TimingWeights
from gnv2_nas.nn import Network, build_model
from tests.networks import PRESETS, difference, presets_at, random_image, random_model
from tests.strategies import architectures

TOLERANCE = 1e-4


def run(data: bytes, image: torch.Tensor) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input": image.numpy()})[0]


def assert_agrees(arch: Architecture, model: Network) -> None:
    data, image = onnx_bytes(arch, model), random_image(arch.resolution)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    with torch.no_grad():
        assert difference(run(data, image), model(image)) < TOLERANCE


@settings(max_examples=25, deadline=None)
@given(architectures())
def test_random_networks(arch: Architecture) -> None:
    assert_agrees(arch, random_model(arch))


@cache
def stock(name: str) -> Network:
    return random_model(preset(name))


@pytest.mark.parametrize(("name", "resolution"), presets_at(32, 96, 224, 225))
def test_presets(name: str, resolution: int) -> None:
    """One set of weights at every resolution: kernels are cropped where the map is small."""
    assert_agrees(preset(name).replace(resolution=resolution), stock(name))


@pytest.mark.parametrize("name", PRESETS)
def test_timing_weights_give_real_numbers(name: str) -> None:
    """Denormal, infinite or zero activations would make a latency mean nothing."""
    logits = run(onnx_bytes(preset(name)), random_image(224))
    assert np.isfinite(logits).all()
    assert 1e-3 < np.std(logits) < 100


@settings(max_examples=10, deadline=None)
@given(architectures())
def test_timing_weights_of_random_networks(arch: Architecture) -> None:
    data = onnx_bytes(arch)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert np.isfinite(run(data, random_image(arch.resolution))).all()
    assert data == onnx_bytes(arch)


def test_deployable_form() -> None:
    """Batch norm folded, no constant or slice left over, fixed names of input and output."""
    graph = onnx.load_from_string(onnx_bytes(preset("ghostnetv2-1.0"))).graph
    kinds = {node.op_type for node in graph.node}
    assert kinds == {
        "Conv", "Relu", "Concat", "Add", "Mul", "AveragePool", "Sigmoid", "Resize",
        "GlobalAveragePool", "HardSigmoid", "Flatten", "Gemm",
    }  # fmt: skip
    assert [value.name for value in graph.input] == ["input"]
    assert [value.name for value in graph.output] == ["logits"]


# Side of the map → factor: whole factors, incomplete windows, and the two kinds of rounding
# that make runtimes and torch disagree on nearest (74/3 and 114/4).
MAPS = [(14, 2), (7, 2), (9, 4), (13, 3), (74, 3), (114, 4)]


@pytest.mark.parametrize("resize", ["nearest", "bilinear"])
@pytest.mark.parametrize(("side", "factor"), MAPS)
def test_resize_inside_a_network(side: int, factor: int, resize: Any) -> None:
    module = GhostModule(dfc=DFC(factor=factor, resize=resize))
    block = GhostBlock(4, 4, ghost1=module)
    arch = Architecture((block,), 4, 4, 4, resolution=2 * side, num_classes=3)
    assert_agrees(arch, random_model(arch))


@pytest.mark.parametrize("small", range(1, 31))
def test_every_resize_is_torchs(small: int) -> None:
    """All pairs of sizes up to 30."""
    image = torch.randn(1, 1, small, small, generator=torch.Generator().manual_seed(small))
    start = Op("input", "input", (), (1, small, small))
    for mode, large in itertools.product(("nearest", "bilinear"), range(small, 37)):
        op = Op("resize", "resize", (0,), (1, large, large), mode=mode)
        file = write_graph(Graph((start, op)), TimingWeights())
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        found = session.run(None, {"input": image.numpy()})[0]
        expected = F.interpolate(image, size=op.shape[1:], mode=op.mode)
        assert difference(found, expected) < TOLERANCE, op


def test_a_model_of_another_network_is_refused() -> None:
    arch = preset("ghostnet-1.0")
    with pytest.raises(CheckpointError, match="the model holds weights of architecture"):
        onnx_bytes(preset("ghostnetv2-1.0"), build_model(arch))
    with pytest.raises(CheckpointError, match="2 wrong"):
        onnx_bytes(arch, _Renamed(arch.replace(num_classes=10)))


class _Renamed(torch.nn.Module):
    """A module that has a network's weights and does not say which network it is."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self._weights = build_model(arch).state_dict()

    def state_dict(self, *_: Any, **__: Any) -> Any:
        return self._weights


def test_any_module_with_the_weights_will_do() -> None:
    arch = preset("ghostnet-1.0").replace(resolution=32, num_classes=5)
    assert onnx_bytes(arch, _Renamed(arch))

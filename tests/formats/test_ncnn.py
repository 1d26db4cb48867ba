"""The written ncnn files: complete, run in ncnn, agree with the torch module."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import ncnn
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.nn import functional as F

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, preset
from gnv2_nas.errors import CheckpointError
from gnv2_nas.formats.ncnn.param import check_weights, param_text, read_param
from gnv2_nas.formats.ncnn.writer import ncnn_files, write_graph
from gnv2_nas.graph import Graph, Op, lower
from gnv2_nas.graph.weights import TimingWeights
from gnv2_nas.nn import Network, build_model
from gnv2_nas.runner.ncnn_session import NcnnSession
from gnv2_nas.space import load_space
from tests.networks import difference, presets_at, random_model
from tests.strategies import architectures

TOLERANCE = 1e-4
NETWORKS = architectures().map(lambda arch: arch.replace(num_classes=arch.num_classes + 8))
"""Of several classes: a single logit may happen to be next to nothing."""


def assert_agrees(arch: Architecture, model: Network) -> None:
    files = ncnn_files(arch, model)
    session = NcnnSession(files, "fp32", threads=1)
    with torch.no_grad():
        expected = model(torch.from_numpy(session.image))
    assert difference(session.logits(), expected) < TOLERANCE


@settings(max_examples=30, deadline=None)
@given(NETWORKS)
def test_random_networks(arch: Architecture) -> None:
    assert_agrees(arch, random_model(arch))


@pytest.mark.parametrize(("name", "resolution"), presets_at(33, 224, 225))
def test_presets(name: str, resolution: int) -> None:
    arch = preset(name).replace(resolution=resolution)
    assert_agrees(arch, random_model(arch))


@pytest.mark.parametrize(
    "resolution",
    [64, *(pytest.param(side, marks=pytest.mark.slow) for side in (160, 192, 225))],
)
@pytest.mark.parametrize("space", ["ghostnetv2", "mobile", "placement", "tiny"])
def test_spaces(space: str, resolution: int) -> None:
    arch = load_space(space).sample(random.Random(resolution)).replace(resolution=resolution)
    assert_agrees(arch, random_model(arch))


@pytest.mark.parametrize("resize", ["nearest", "bilinear"])
@pytest.mark.parametrize(("side", "factor"), [(14, 2), (7, 2), (9, 4), (13, 3), (74, 3), (114, 4)])
def test_resize_inside_a_network(side: int, factor: int, resize: Any) -> None:
    module = GhostModule(dfc=DFC(factor=factor, resize=resize))
    block = GhostBlock(4, 4, ghost1=module)
    arch = Architecture((block,), 4, 4, 4, resolution=2 * side, num_classes=3)
    assert_agrees(arch, random_model(arch))


@pytest.mark.parametrize("channels", [1, 4, 16])
@pytest.mark.parametrize("small", [*range(1, 31), 57])
def test_every_resize_is_torchs(small: int, channels: int) -> None:
    """All pairs of sizes up to 36, and 57 → 225, in blocks of 1, 4 and 16 channels."""
    image = np.random.default_rng(small).standard_normal((channels, small, small), np.float32)
    larges = [225, 114] if small == 57 else range(small + 1, 37)
    for mode in ("nearest", "bilinear"):
        for large in larges:
            found = _resized(image, large, mode)
            expected = F.interpolate(torch.from_numpy(image)[None], size=(large, large), mode=mode)
            assert difference(found[None], expected) < TOLERANCE, (mode, large)


def _resized(image: Any, large: int, mode: str) -> Any:
    channels = len(image)
    ops = (
        Op("input", "input", (), image.shape),
        Op("resize", "resize", (0,), (channels, large, large), mode=mode),
    )
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_storage = False
    assert net.load_param_mem(write_graph(Graph(ops), TimingWeights())[".param"].decode()) == 0
    extractor = net.create_extractor()
    extractor.input("input", ncnn.Mat(image))
    return np.array(extractor.extract("logits")[1])


def test_deployable_form() -> None:
    """Batch norm folded, activations fused, no slice left over, layers named as the ops are."""
    arch = preset("ghostnetv2-1.0")
    files = ncnn_files(arch)
    layers = read_param(files[".param"].decode())
    check_weights(layers, files[".bin"])
    kinds = Counter(layer.kind for layer in layers)
    assert kinds.keys() == {
        "Input", "Split", "Convolution", "ConvolutionDepthWise", "InnerProduct", "Concat",
        "BinaryOp", "Pooling", "Interp", "HardSigmoid",
    }  # fmt: skip
    names = {layer.name for layer in layers if layer.kind != "Split"}
    assert names <= {op.name for op in lower(arch).ops}
    assert layers[0].outputs == ("input",)
    assert layers[-1].outputs == ("logits",)
    assert param_text(layers).encode() == files[".param"]


def test_a_model_of_another_network_is_refused() -> None:
    with pytest.raises(CheckpointError, match="the model holds weights of architecture"):
        ncnn_files(preset("ghostnetv2-1.0"), build_model(preset("ghostnet-1.0")))

"""Padded channels: the same network, in whole blocks wherever that pays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from onnxruntime import InferenceSession

from gnv2_nas.arch import Architecture, GhostBlock, GhostModule, preset
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.graph import lower
from gnv2_nas.graph.passes.channels import MAX_PADDING, pad_channels
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.graph.weights import TimingWeights
from tests.networks import PRESETS, random_model
from tests.strategies import architectures


def outputs(arch: Architecture, multiple: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the padded file and of the torch module."""
    model = random_model(arch)
    image = torch.randn(1, 3, arch.resolution, arch.resolution)
    session = InferenceSession(onnx_bytes(arch, model, form=FileForm(channel_multiple=multiple)))
    with torch.inference_mode():
        return session.run(None, {"input": image.numpy()})[0], model(image).numpy()


@pytest.mark.parametrize("multiple", [pytest.param(8, marks=pytest.mark.slow), 16])
@pytest.mark.parametrize("name", PRESETS)
def test_presets_give_the_same_outputs(name: str, multiple: int) -> None:
    got, expected = outputs(preset(name).replace(resolution=64), multiple)
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_chain_of_blocks_with_different_ghost_ratios() -> None:
    """Their outputs are added, but divide into parts at different channels."""
    blocks = tuple(
        GhostBlock(36, 24, ghost1=GhostModule(ratio), ghost2=GhostModule(ratio))
        for ratio in (2, 3, 4, 2)
    )
    arch = Architecture(blocks, stem_channels=24, conv_channels=40, resolution=32, num_classes=5)
    got, expected = outputs(arch, 16)
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_cut_map_added_to_one_of_two_parts() -> None:
    blocks = tuple(GhostBlock(28, 28, ghost2=GhostModule(ratio)) for ratio in (2, 3))
    arch = Architecture(blocks, stem_channels=24, conv_channels=40, resolution=32, num_classes=5)
    got, expected = outputs(arch, 16)
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


@settings(max_examples=60, deadline=None)
@given(arch=architectures())
def test_no_map_shrinks_or_grows_more_than_allowed(arch: Architecture) -> None:
    graph = lower(arch)
    padded, _ = pad_channels(graph, TimingWeights(), 16)
    for op, wide in zip(graph.ops, padded.ops, strict=True):
        assert op.shape[0] <= wide.shape[0] <= MAX_PADDING * op.shape[0]
        assert op.shape[1:] == wide.shape[1:]


@settings(max_examples=60, deadline=None)
@given(arch=architectures())
def test_the_padded_graph_is_a_graph(arch: Architecture) -> None:
    """Every op reads as many channels as its source has, and elementwise ops read equal ones."""
    ops = pad_channels(lower(arch), TimingWeights(), 16)[0].ops
    for op in ops:
        sources = [ops[source].shape[0] for source in op.inputs]
        if op.kind in ("conv", "linear"):
            assert sources == [op.in_channels]
            assert op.shape[0] % op.groups == 0
        elif op.kind == "concat":
            assert sum(sources) == op.shape[0]
        elif op.kind != "slice":
            assert all(channels == op.shape[0] for channels in sources)


def test_stock_halves_fill_whole_blocks() -> None:
    """12 of block 1, 20 and 60 of block 3 …: what kept the runtime out of its blocked format."""
    ops = pad_channels(lower(preset("ghostnetv2-1.0")), TimingWeights(), 16)[0].ops
    halves = {op.name: op.shape[0] for op in ops if op.name.endswith("primary_conv")}
    assert halves["blocks.1.0.ghost2.primary_conv"] == 16
    assert halves["blocks.4.0.ghost1.primary_conv"] == 64
    # 8 would double and 20 grow by more than half: these stay.
    assert halves["blocks.0.0.ghost1.primary_conv"] == 8
    assert halves["blocks.3.0.ghost2.primary_conv"] == 20


def test_multiple_of_one_changes_nothing() -> None:
    arch = preset("ghostnet-1.0").replace(resolution=32)
    model = random_model(arch)
    plain = onnx_bytes(arch, model, form=FileForm(channel_multiple=1))
    assert len(plain) < len(onnx_bytes(arch, model))

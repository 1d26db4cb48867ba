"""Depthwise convolutions made plain; that outputs stay the same is `test_tflite_writer`'s."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from gnv2_nas.arch import Architecture, GhostBlock, GhostModule, preset
from gnv2_nas.graph import Graph, lower
from gnv2_nas.graph.passes.channels import split_depthwise
from gnv2_nas.graph.weights import TimingWeights
from tests.strategies import architectures


def plain(arch: Architecture) -> Graph:
    return split_depthwise(lower(arch), TimingWeights())[0]


def multiplied(graph: Graph) -> list[str]:
    return [op.name for op in graph.ops if op.groups > 1 and op.shape[0] != op.in_channels]


def blocks_of(*ratios: int) -> Architecture:
    """A Ghost block of 10 channels for each ratio, the second and later with an identity."""
    blocks = tuple(
        GhostBlock(13, 10, se_channels=2, ghost1=GhostModule(ratio), ghost2=GhostModule(ratio))
        for ratio in ratios
    )
    return Architecture(blocks, 8, 12, 12, resolution=32, num_classes=3)


def test_nothing_changes_where_nothing_is_multiplied() -> None:
    for name in ("ghostnetv2-1.0", "mobilenetv3-large-1.0"):
        graph = lower(preset(name))
        assert split_depthwise(graph, TimingWeights())[0] == graph


def test_every_multiplied_convolution_is_split_and_nothing_is_cut() -> None:
    before, after = lower(blocks_of(3, 3, 3)), plain(blocks_of(3, 3, 3))
    assert len(multiplied(before)) == 6
    assert multiplied(after) == []
    assert "slice" in {op.kind for op in before.ops}
    assert "slice" not in {op.kind for op in after.ops}


def test_maps_in_different_orders_are_not_added() -> None:
    """The second module of each block stays as it was; the first goes its own way."""
    left = multiplied(plain(blocks_of(3, 4)))
    assert left
    assert all("ghost2" in name for name in left)


@settings(max_examples=50, deadline=None)
@given(architectures())
def test_shapes_and_weights_go_together(arch: Architecture) -> None:
    graph, weights = split_depthwise(lower(arch), TimingWeights())
    assert len({op.name for op in graph.ops}) == len(graph.ops)
    assert graph.output.shape == (arch.num_classes, 1, 1)
    for op in graph.ops:
        read = [graph.ops[source].shape[0] for source in op.inputs]
        if op.kind == "concat":
            assert op.shape[0] == sum(read)
        elif op.in_channels:
            assert [op.in_channels] == read
        elif op.kind in ("add", "mul"):
            assert set(read) == {op.shape[0]}
        if op.weight:
            kernel, bias = weights.fold(op)
            assert kernel.shape == op.kernel_shape
            assert bias.shape == op.shape[:1]
            assert np.isfinite(kernel).all()

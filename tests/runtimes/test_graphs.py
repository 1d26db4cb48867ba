"""Graphs that are no whole network: every runtime computes what torch does."""

from __future__ import annotations

from functools import partial

import pytest

from gnv2_nas.arch import DFC, GhostBlock, GhostModule
from gnv2_nas.errors import InputError
from gnv2_nas.graph.lower import add_ghost_block, add_ghost_module
from gnv2_nas.graph.stacks import add_depthwise, add_pointwise, module_macs, stack
from gnv2_nas.runtimes.base import get_runtime
from gnv2_nas.runtimes.graphs import graph_logits, write_graph
from gnv2_nas.runtimes.parity import check_logits

MODULE = GhostModule(3, dfc=DFC(resize="bilinear"))
BLOCK = GhostBlock(24, 16, stride=2, se_channels=4, ghost2=GhostModule(dfc=DFC(factor=4)))


def add_all_positions(build, source, key):
    """Decoupled attention with all taps, then full attention."""
    return add_depthwise(build, source, key, (1, 13), (13, 1), (13, 13))


STACKS = {
    "frame": stack(7, 12),
    "convolution": stack(7, 12, [partial(add_pointwise, channels=12)] * 2),
    "ghost": stack(
        14, 10, [partial(add_ghost_module, out_channels=10, module=MODULE, relu=True)] * 2
    ),
    "block": stack(14, 12, [partial(add_ghost_block, block=BLOCK)]),
    "attention": stack(7, 8, [add_all_positions]),
}


@pytest.mark.parametrize("name", ["executorch", "litert", "ncnn", "onnxruntime", "openvino"])
def test_modules_compute_what_torch_does(name):
    runtime = get_runtime(name)
    for which, graph in STACKS.items():
        found = runtime.load(write_graph(runtime, graph), 1).logits()
        assert check_logits(which, found, graph_logits(graph), runtime) < 1e-4


def test_the_frame_does_not_count():
    assert module_macs(STACKS["frame"]) == 0
    assert module_macs(STACKS["convolution"]) == 2 * 12 * 12 * 7 * 7


def test_a_runtime_of_whole_networks_is_refused():
    with pytest.raises(InputError, match="'torch' runs whole networks only"):
        write_graph(get_runtime("torch"), STACKS["frame"])

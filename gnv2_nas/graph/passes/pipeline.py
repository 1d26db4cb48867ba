"""`prepare_graph`: the graph that a writer writes, after the passes for its runtime."""

from __future__ import annotations

from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import Graph
from gnv2_nas.graph.passes.channels import pad_channels, split_depthwise
from gnv2_nas.graph.passes.concats import fuse_ghost_modules, sink_concats
from gnv2_nas.graph.weights import Weights, weights_for


def prepare_graph(
    arch: Architecture,
    model: Any,
    *,
    fuse_up_to: int = 0,
    split: bool = False,
    channel_multiple: int = 1,
    sink: bool = False,
) -> tuple[Graph, Weights]:
    """The graph to write and its weights. No pass changes the outputs.

    Args:
        arch: the network.
        model: the torch module that provides the weights, or `None` for weights made for timing.
        fuse_up_to: largest number of channels for `fuse_ghost_modules`; 0 skips the pass.
        split: whether to run `split_depthwise`.
        channel_multiple: multiple for `pad_channels`; 1 skips the pass.
        sink: whether to run `sink_concats`.

    Raises:
        CheckpointError: the module's weights do not fit `arch`.
    """
    graph, weights = lower(arch), weights_for(arch, model)
    if fuse_up_to:
        graph, weights = fuse_ghost_modules(graph, weights, fuse_up_to)
    if split:
        graph, weights = split_depthwise(graph, weights)
    if channel_multiple > 1:
        graph, weights = pad_channels(graph, weights, channel_multiple)
    if sink:
        graph, weights = sink_concats(graph, weights)
    return graph, weights

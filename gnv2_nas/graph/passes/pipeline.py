"""What every writer starts from: the operators of a network and the weights they carry."""

from __future__ import annotations

from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import Graph
from gnv2_nas.graph.passes.fuse_ghost import joined
from gnv2_nas.graph.passes.pad_channels import SpreadWeights, layouts_of, padded
from gnv2_nas.graph.passes.split_depthwise import plain_depthwise
from gnv2_nas.graph.weights import Weights, weights_for


def prepared(
    arch: Architecture,
    model: Any,
    channel_multiple: int,
    join_up_to: int = 0,
    *,
    plain: bool = False,
) -> tuple[Graph, Weights]:
    """The graph to write and where its weights come from.

    Args:
        arch: the network.
        model: the torch module whose weights go in (`build_model(arch)`, trained or not), or
            `None` for weights made for timing.
        channel_multiple: what channels are padded to multiples of where that pays, see
            `alignment`; outputs are the same. 1 leaves them as they are.
        join_up_to: of how many channels at most Ghost modules compute their parts together, see
            `joined`; outputs are the same. 0 leaves all of them as they are.
        plain: whether depthwise convolutions of several outputs for each input become several of
            one, see `depthwise`; outputs are the same.

    Raises:
        CheckpointError: the module's weights are not those of `arch`.
    """
    graph, weights = lower(arch), weights_for(arch, model)
    if join_up_to:
        graph, weights = joined(graph, weights, join_up_to)
    if plain:
        graph, weights = plain_depthwise(graph, weights)
    return aligned(graph, weights, channel_multiple)


def aligned(graph: Graph, weights: Weights, channel_multiple: int) -> tuple[Graph, Weights]:
    """Graph and weights with channels padded to multiples where that pays, see `alignment`."""
    if channel_multiple == 1:
        return graph, weights
    layouts = layouts_of(graph, channel_multiple)
    return padded(graph, layouts), SpreadWeights(graph, weights, layouts)

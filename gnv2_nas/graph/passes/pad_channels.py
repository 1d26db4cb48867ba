"""Zero-padding of channels, so that a runtime stays in its blocked memory format.

ONNX Runtime's fast kernels work on blocks of 16 channels (AVX-512; 8 on AVX2). The halves of a
Ghost module rarely fill whole blocks (stock V2 1.0 has 8, 12, 20, 36, 60, 92 …), and the runtime
converts each such map out of its blocked format and back. This pass pads the halves with zero
channels that nothing reads.
"""

from __future__ import annotations

import numpy as np

from gnv2_nas.graph.op import Graph
from gnv2_nas.graph.passes.channel_orders import UNUSED, ChannelOrders, Order, OrderedWeights
from gnv2_nas.graph.weights import Weights

MAX_PADDING = 1.5
"""Largest factor by which padding grows a map. Padding 10 channels to 16 costs more than leaving
the blocked format."""


def pad_channels(graph: Graph, weights: Weights, multiple: int) -> tuple[Graph, Weights]:
    """`graph` with channels padded to multiples of `multiple` where that pays, and its weights."""

    def pad(channels: int) -> Order:
        whole = -(-channels // multiple) * multiple
        size = whole if whole <= MAX_PADDING * channels else channels
        return np.concatenate([np.arange(channels), np.full(size - channels, UNUSED)])

    orders = ChannelOrders(graph, pad, _multiply, cut=True)
    padded = OrderedWeights(weights)
    ops = [
        padded.reorder(
            op, orders.of(number), orders.of(op.inputs[0] if op.inputs else 0), "", op.inputs
        )
        for number, op in enumerate(graph.ops)
    ]
    return Graph(tuple(ops)), padded


def _multiply(read: Order, times: int) -> Order:
    """The outputs of one input channel stay together."""
    return (read[:, np.newaxis] * times + np.arange(times)).ravel()

"""Depthwise convolutions with a multiplier, split into plain ones for runtimes that need it.

In a Ghost module of ratio r > 2, the cheap convolution has r - 1 outputs per input channel. XNNPACK
runs it as a grouped convolution, many times slower than a depthwise one. This pass writes r - 1
plain depthwise convolutions instead, which puts the channels in another order: first all first
copies, then all second copies, and so on. Channels that a module cuts off stay in the map; the
weights that read them are zero.
"""

from __future__ import annotations

import numpy as np

from gnv2_nas.graph.op import Graph, Op
from gnv2_nas.graph.passes.channel_orders import (
    ChannelOrders,
    Order,
    OrderedWeights,
    depth_multiplier,
)
from gnv2_nas.graph.weights import Weights


def split_depthwise(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """The same network without depthwise convolutions of several outputs per input channel.

    If two of them feed one addition and their orders differ, both stay as they are. The parts of
    op "name" are called "name:0", "name:1" and so on.
    """
    orders = ChannelOrders(graph, np.arange, _multiply, cut=False)
    split = OrderedWeights(weights)
    ops: list[Op] = []
    numbers: list[list[int]] = []
    """Number of an op in `graph` → the numbers of its parts in `ops`."""
    for number, op in enumerate(graph.ops):
        sources = [numbers[source] for source in op.inputs]
        if op.kind == "slice" and not orders.is_unchanged(number):
            numbers.append(sources[0])
            continue
        parts = 1
        if not orders.is_unchanged(number) and op.kind != "concat":
            parts = max(depth_multiplier(op), *map(len, sources), 1)
        read = orders.of(op.inputs[0] if op.inputs else 0)
        numbers.append([])
        for index, order in enumerate(np.split(orders.of(number), parts)):
            inputs = tuple(source[index if len(source) > 1 else 0] for source in sources)
            if op.kind == "concat":
                inputs = tuple(part for source in sources for part in source)
            numbers[-1].append(len(ops))
            suffix = "" if parts == 1 else f":{index}"
            ops.append(split.reorder(op, order, read, suffix, inputs))
    return Graph(tuple(ops)), split


def _multiply(read: Order, times: int) -> Order:
    """First the first output of each input channel, then the second, and so on."""
    return np.concatenate([read * times + output for output in range(times)])

"""Counting: one table op kind → handler, and the totals of a network.

The convention is that of the GhostNet papers: multiply-adds of convolutions and linear layers,
batch 1, batch norm folded. fvcore restricted to those operators gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import Graph, Op

FLOAT_BYTES = 4


class Counts(msgspec.Struct, frozen=True):
    """What arithmetic knows of a network; batch 1, float32."""

    macs: int
    """Multiply-adds of convolutions and linear layers: the FLOPs of the papers."""
    params: int
    """Trainable parameters of the torch module, batch norm's two a channel included."""
    weight_bytes: int
    """Weights with batch norm folded, before a writer pads channels: the ONNX file of stock V2
    1.0 is 2 % larger."""
    peak_activation_bytes: int
    """The most bytes of feature maps alive at once, operators run in graph order, activation
    functions in place."""

    @property
    def memory_bytes(self) -> int:
        """What must fit into memory to run: weights and the peak of the feature maps.

        Of the network itself; padded and joined channels can add up to 20 %.
        """
        return self.weight_bytes + self.peak_activation_bytes


def _elements(op: Op) -> int:
    channels, height, width = op.shape
    return channels * height * width


def _conv_weights(op: Op) -> int:
    return op.shape[0] * (op.in_channels // op.groups) * op.kernel[0] * op.kernel[1]


# The operators that carry weights; every other kind counts as zero multiply-adds.
_WEIGHTS: dict[str, Callable[[Op], int]] = {"conv": _conv_weights, "linear": _conv_weights}
_IN_PLACE = frozenset({"relu", "hard_swish", "sigmoid", "hard_sigmoid"})


def op_macs(op: Op) -> int:
    """Multiply-adds of one operator."""
    handler = _WEIGHTS.get(op.kind)
    return handler(op) * op.shape[1] * op.shape[2] if handler else 0


def op_params(op: Op) -> int:
    """Trainable parameters of one operator, with the batch norm that follows it."""
    handler = _WEIGHTS.get(op.kind)
    if handler is None:
        return 0
    return handler(op) + op.shape[0] * (op.bias + (2 if op.norm else 0))


def op_weight_bytes(op: Op) -> int:
    """Bytes of weights and bias once batch norm is folded."""
    handler = _WEIGHTS.get(op.kind)
    return (handler(op) + op.shape[0]) * FLOAT_BYTES if handler else 0


def op_activation_bytes(op: Op) -> int:
    """Bytes of the feature map one operator writes."""
    return _elements(op) * FLOAT_BYTES


def peak_activation_bytes(graph: Graph) -> int:
    """The most bytes of feature maps alive while any one operator runs."""
    last_use = graph.last_uses()
    freed = [0] * len(last_use)
    alive = peak = 0
    for number, op in enumerate(graph.ops):
        channels, height, width = op.shape
        size = channels * height * width
        # An activation function in place writes over its source when nobody else reads that.
        if op.kind in _IN_PLACE:
            alive -= freed[number]
            freed[number] = 0
        alive += size
        if alive > peak:
            peak = alive
        freed[last_use[number]] += size
        alive -= freed[number]
    return peak * FLOAT_BYTES


def count_graph(graph: Graph) -> Counts:
    """The counts of a lowered network."""
    macs = params = folded = 0
    for op in graph.ops:
        handler = _WEIGHTS.get(op.kind)
        if handler is None:
            continue
        weights, channels = handler(op), op.shape[0]
        macs += weights * op.shape[1] * op.shape[2]
        params += weights + channels * (op.bias + (2 if op.norm else 0))
        folded += weights + channels
    return Counts(macs, params, folded * FLOAT_BYTES, peak_activation_bytes(graph))


def count(arch: Architecture) -> Counts:
    """Multiply-adds, parameters and bytes of `arch`, by arithmetic alone."""
    return count_graph(lower(arch))

"""Counts of a network by arithmetic.

The convention of the GhostNet papers: multiply-adds of convolutions and linear layers, batch 1.
fvcore gives the same numbers when it counts these operators only.
"""

from __future__ import annotations

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import OP_TRAITS, Graph, Op

FLOAT_BYTES = 4
_WEIGHTED = frozenset(kind for kind, traits in OP_TRAITS.items() if traits.weighted)
_IN_PLACE = frozenset(kind for kind, traits in OP_TRAITS.items() if traits.activation)


class Counts(msgspec.Struct, frozen=True):
    """Counts of a network at batch 1 in float32."""

    macs: int
    """Multiply-adds of convolutions and linear layers; the papers call them FLOPs."""
    params: int
    """Trainable parameters of the torch module, including two per batch norm channel."""
    weight_bytes: int
    """Weights after batch norm folding, before a writer pads channels. The ONNX file of stock V2
    1.0 is 2 % larger."""
    peak_activation_bytes: int
    """Peak memory of the feature maps, if operators run in graph order and activation functions
    in place."""

    @property
    def memory_bytes(self) -> int:
        """Memory that the network needs: weights plus peak activations.

        Channels that a writer pads or computes twice can add up to 20 %.
        """
        return self.weight_bytes + self.peak_activation_bytes


def _weights(op: Op) -> int:
    return op.shape[0] * (op.in_channels // op.groups) * op.kernel[0] * op.kernel[1]


def op_macs(op: Op) -> int:
    """Multiply-adds of one operator."""
    return _weights(op) * op.shape[1] * op.shape[2] if op.kind in _WEIGHTED else 0


def op_activation_bytes(op: Op) -> int:
    """Bytes of the feature map that one operator writes."""
    channels, height, width = op.shape
    return channels * height * width * FLOAT_BYTES


def peak_activation_bytes(graph: Graph) -> int:
    """Maximum over all operators of the bytes of feature maps that are alive while it runs."""
    last_use = graph.last_uses()
    freed = [0] * len(last_use)
    alive = peak = 0
    for number, op in enumerate(graph.ops):
        channels, height, width = op.shape
        size = channels * height * width
        # An activation overwrites its input, unless another op reads the input later.
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
    """The counts of a graph."""
    macs = params = weights = 0
    for op in graph.ops:
        if op.kind not in _WEIGHTED:
            continue
        kernel, channels = _weights(op), op.shape[0]
        macs += kernel * op.shape[1] * op.shape[2]
        params += kernel + channels * (op.bias + 2 * len(op.norms))
        weights += kernel + channels
    return Counts(macs, params, weights * FLOAT_BYTES, peak_activation_bytes(graph))


def count(arch: Architecture) -> Counts:
    """The counts of `arch`."""
    return count_graph(lower(arch))

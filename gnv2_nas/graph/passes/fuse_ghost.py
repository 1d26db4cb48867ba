"""The parts of a Ghost module computed together, so that nothing is left to concatenate.

A Ghost module concatenates its primary convolution with the cheap depthwise one that reads it. The
cheap convolution can give both parts at once: its input holds the primary channels once more, and
where they are to be passed on its kernel is 1 in the centre and 0 around it. The outputs are the
same to the last bit; the primary convolution computes its channels several times over.

That pays while all channels of the module fit one vector of the processor, whose unused lanes
they fill: then the convolutions take no longer and the concatenation is gone.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import numpy as np

from gnv2_nas.graph.op import Graph, Op
from gnv2_nas.graph.weights import Array, Weights


def fuse_ghost_modules(graph: Graph, weights: Weights, up_to: int) -> tuple[Graph, Weights]:
    """`graph` without the concatenations that give at most `up_to` channels, and its weights."""
    concats = [
        number
        for number, op in enumerate(graph.ops)
        if op.kind == "concat" and op.shape[0] <= up_to
    ]
    return fuse_at(graph, weights, concats)


def fuse_at(graph: Graph, weights: Weights, concats: Collection[int]) -> tuple[Graph, Weights]:
    """`graph` without the concatenations of those numbers, and its weights."""
    ops, parts = list(graph.ops), {}
    dropped: dict[int, int] = {}
    for number in concats:
        op = graph.ops[number]
        primary, cheap = op.inputs
        if graph.ops[primary].shape[0] == 1:
            # Convolutions of one channel do not tell whether they are depthwise.
            continue
        parts[_widen(ops, primary, op.shape[0])] = graph.ops[primary].shape[0]
        parts[_widen(ops, cheap, op.shape[0])] = graph.ops[primary].shape[0]
        dropped[number] = cheap
    return _without(ops, dropped), _FusedWeights(graph, weights, parts)


def _widen(ops: list[Op], number: int, channels: int) -> str:
    """Gives the convolution behind op `number`, and its activation, as many channels."""
    op = ops[number]
    if op.kind != "conv":
        ops[number] = msgspec.structs.replace(op, shape=(channels, *op.shape[1:]))
        return _widen(ops, op.inputs[0], channels)
    depthwise = {"in_channels": channels, "groups": channels} if op.groups > 1 else {}
    ops[number] = msgspec.structs.replace(op, shape=(channels, *op.shape[1:]), **depthwise)
    return op.name


def _without(ops: list[Op], dropped: dict[int, int]) -> Graph:
    """The ops but for those dropped, whose readers read what they are mapped to."""
    place: dict[int, int] = {}
    kept: list[Op] = []
    for number, op in enumerate(ops):
        if number in dropped:
            place[number] = place[dropped[number]]
            continue
        place[number] = len(kept)
        inputs = tuple(place[source] for source in op.inputs)
        kept.append(msgspec.structs.replace(op, inputs=inputs))
    return Graph(tuple(kept))


class _FusedWeights:
    """The weights of a graph where its joined form expects them."""

    def __init__(self, graph: Graph, weights: Weights, primary: dict[str, int]) -> None:
        self._weights = weights
        self._plain = {op.name: op for op in graph.ops if op.name in primary}
        self._primary = primary

    def fold(self, op: Op) -> tuple[Array, Array]:
        """Weights and bias of an op of the joined graph."""
        plain = self._plain.get(op.name)
        if plain is None:
            return self._weights.fold(op)
        kernel, bias = self._weights.fold(plain)
        primary = self._primary[op.name]
        if plain.groups == 1:
            # Every cheap channel of a group reads the same primary one, and they stand together.
            times = (op.shape[0] - primary) // primary
            again = np.repeat(np.arange(primary), times)
            return np.concatenate([kernel, kernel[again]]), np.concatenate([bias, bias[again]])
        passed = np.zeros((primary, *kernel.shape[1:]), np.float32)
        passed[..., kernel.shape[2] // 2, kernel.shape[3] // 2] = 1
        return (
            np.concatenate([passed, kernel]),
            np.concatenate([np.zeros(primary, np.float32), bias]),
        )

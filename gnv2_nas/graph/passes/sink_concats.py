"""Concatenations moved behind the depthwise convolution that reads them, where it has a stride.

A depthwise convolution looks at each channel by itself. So instead of concatenating the two parts
of a Ghost module on the large map, each part is convolved, and what is concatenated is a quarter
of the size. The outputs are the same to the last bit.
"""

from __future__ import annotations

import msgspec

from gnv2_nas.graph.op import Graph, Op
from gnv2_nas.graph.weights import Array, Weights


def sink_concats(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """`graph` with those concatenations moved, and its weights.

    A convolution that is divided becomes several: its name with ".0", ".1" behind it.
    """
    divided = {op.inputs[0]: number for number, op in enumerate(graph.ops) if _divides(graph, op)}
    readers = [source for op in graph.ops for source in op.inputs]
    moved = {number for number in divided if readers.count(number) == 1}
    kept: list[Op] = []
    place: dict[int, int] = {}
    parts: dict[str, _Part] = {}
    for number, op in enumerate(graph.ops):
        if number in moved:
            continue
        inputs = tuple(place.get(source, -1) for source in op.inputs)
        if op.inputs and op.inputs[0] in moved:
            concat, start, results = graph.ops[op.inputs[0]], 0, []
            for index, source in enumerate(concat.inputs):
                part = _part(op, index, graph.ops[source].shape[0], place[source])
                parts[part.name] = _Part(op, start, start + part.shape[0])
                start += part.shape[0]
                results.append(len(kept))
                kept.append(part)
            op, inputs = msgspec.structs.replace(concat, shape=op.shape), tuple(results)
        place[number] = len(kept)
        kept.append(msgspec.structs.replace(op, inputs=inputs))
    return Graph(tuple(kept)), _DividedWeights(weights, parts)


def _divides(graph: Graph, op: Op) -> bool:
    """Whether it is a depthwise convolution with a stride that reads a concatenation."""
    depthwise = op.kind == "conv" and op.groups == op.in_channels == op.shape[0]
    return depthwise and op.stride > 1 and graph.ops[op.inputs[0]].kind == "concat"


def _part(op: Op, index: int, channels: int, source: int) -> Op:
    return msgspec.structs.replace(
        op,
        name=f"{op.name}.{index}",
        weight=f"{op.weight}.{index}",
        inputs=(source,),
        shape=(channels, *op.shape[1:]),
        in_channels=channels,
        groups=channels,
    )


class _Part(msgspec.Struct, frozen=True):
    whole: Op
    start: int
    end: int
    """Its channels of the whole convolution's."""


class _DividedWeights:
    """The weights of a graph where its divided convolutions expect them."""

    def __init__(self, weights: Weights, parts: dict[str, _Part]) -> None:
        self._weights, self._parts = weights, parts

    def fold(self, op: Op) -> tuple[Array, Array]:
        """Weights and bias of an op of the new graph."""
        part = self._parts.get(op.name)
        if part is None:
            return self._weights.fold(op)
        kernel, bias = self._weights.fold(part.whole)
        return kernel[part.start : part.end], bias[part.start : part.end]

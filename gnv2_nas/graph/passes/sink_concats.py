"""Concatenations moved behind the strided depthwise convolution that reads them.

A depthwise convolution treats each channel alone. So this pass convolves the two parts of a Ghost
module first and concatenates the results, which have a quarter of the size. The outputs are
bit-identical.
"""

from __future__ import annotations

import msgspec

from gnv2_nas.graph.op import Graph, Op
from gnv2_nas.graph.weights import Array, Weights


def sink_concats(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """`graph` with these concatenations moved, and its weights.

    The parts of convolution "name" are called "name.0", "name.1" and so on.
    """
    readers = graph.readers()
    sunk = {
        op.inputs[0]
        for op in graph.ops
        if _reads_concat(graph, op) and len(readers[op.inputs[0]]) == 1
    }
    kept: list[Op] = []
    numbers: dict[int, int] = {}
    parts: dict[str, _Part] = {}
    for number, op in enumerate(graph.ops):
        if number in sunk:
            continue
        inputs = tuple(numbers.get(source, -1) for source in op.inputs)
        if op.inputs and op.inputs[0] in sunk:
            concat, start, results = graph.ops[op.inputs[0]], 0, []
            for index, source in enumerate(concat.inputs):
                part = _part(op, index, graph.ops[source].shape[0], numbers[source])
                parts[part.name] = _Part(op, start, start + part.shape[0])
                start += part.shape[0]
                results.append(len(kept))
                kept.append(part)
            op, inputs = msgspec.structs.replace(concat, shape=op.shape), tuple(results)
        numbers[number] = len(kept)
        kept.append(msgspec.structs.replace(op, inputs=inputs))
    return Graph(tuple(kept)), _PartWeights(weights, parts)


def _reads_concat(graph: Graph, op: Op) -> bool:
    """Whether `op` is a strided depthwise convolution of a concatenation."""
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
    """Channels `start` to `end` of a convolution."""

    whole: Op
    start: int
    end: int


class _PartWeights:
    """The weights of the rewritten graph."""

    def __init__(self, weights: Weights, parts: dict[str, _Part]) -> None:
        self._weights, self._parts = weights, parts

    def fold(self, op: Op) -> tuple[Array, Array]:
        part = self._parts.get(op.name)
        if part is None:
            return self._weights.fold(op)
        kernel, bias = self._weights.fold(part.whole)
        return kernel[part.start : part.end], bias[part.start : part.end]

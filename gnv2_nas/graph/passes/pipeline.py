"""Passes that every writer starts from: fuse Ghost modules, sink concatenations, pad channels."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import numpy as np

from gnv2_nas.graph.op import Graph, Op
from gnv2_nas.graph.passes.channels import pad_channels, split_depthwise
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.graph.weights import Array, Weights


def fuse_ghost_modules(graph: Graph, weights: Weights, max_channels: int) -> tuple[Graph, Weights]:
    """`graph` without the concatenations of up to `max_channels` channels, and its weights.

    A Ghost module concatenates its primary convolution with the cheap depthwise convolution that
    reads it. Here the cheap convolution computes both: its input holds the primary channels once
    more, and the kernel that passes them on is 1 in the centre and 0 elsewhere. The outputs are
    bit-identical, but the primary convolution computes its channels several times. That pays if
    all channels fit one vector of the processor: the copies use lanes that are idle otherwise.
    """
    concats = [
        number
        for number, op in enumerate(graph.ops)
        if op.kind == "concat" and op.shape[0] <= max_channels
    ]
    return fuse_at(graph, weights, concats)


def fuse_at(graph: Graph, weights: Weights, concats: Collection[int]) -> tuple[Graph, Weights]:
    """`graph` without the concatenations of these numbers, and its weights."""
    ops, primary_channels = list(graph.ops), {}
    removed: dict[int, int] = {}
    for number in concats:
        op = graph.ops[number]
        primary, cheap = op.inputs
        channels = graph.ops[primary].shape[0]
        if channels == 1:
            # `groups` cannot tell whether a convolution of one channel is depthwise.
            continue
        primary_channels[_widen(ops, primary, op.shape[0])] = channels
        primary_channels[_widen(ops, cheap, op.shape[0])] = channels
        removed[number] = cheap
    return _remove(ops, removed), _FusedWeights(graph, weights, primary_channels)


def _widen(ops: list[Op], number: int, channels: int) -> str:
    """Set the channels of op `number` and of the convolution it belongs to; return the latter's
    name."""
    op = ops[number]
    if op.kind != "conv":
        ops[number] = msgspec.structs.replace(op, shape=(channels, *op.shape[1:]))
        return _widen(ops, op.inputs[0], channels)
    depthwise = {"in_channels": channels, "groups": channels} if op.groups > 1 else {}
    ops[number] = msgspec.structs.replace(op, shape=(channels, *op.shape[1:]), **depthwise)
    return op.name


def _remove(ops: list[Op], removed: dict[int, int]) -> Graph:
    """The graph without the keys of `removed`; their readers read the values instead."""
    numbers: dict[int, int] = {}
    kept: list[Op] = []
    for number, op in enumerate(ops):
        if number in removed:
            numbers[number] = numbers[removed[number]]
            continue
        numbers[number] = len(kept)
        inputs = tuple(numbers[source] for source in op.inputs)
        kept.append(msgspec.structs.replace(op, inputs=inputs))
    return Graph(tuple(kept))


class _FusedWeights:
    """The weights of the fused graph."""

    def __init__(self, graph: Graph, weights: Weights, primary_channels: dict[str, int]) -> None:
        self._weights = weights
        self._originals = {op.name: op for op in graph.ops if op.name in primary_channels}
        self._primary_channels = primary_channels

    def fold(self, op: Op) -> tuple[Array, Array]:
        original = self._originals.get(op.name)
        if original is None:
            return self._weights.fold(op)
        kernel, bias = self._weights.fold(original)
        primary = self._primary_channels[op.name]
        if original.groups == 1:
            # The cheap channels that read one primary channel stand together.
            times = (op.shape[0] - primary) // primary
            copies = np.repeat(np.arange(primary), times)
            return np.concatenate([kernel, kernel[copies]]), np.concatenate([bias, bias[copies]])
        identity = np.zeros((primary, *kernel.shape[1:]), np.float32)
        identity[..., kernel.shape[2] // 2, kernel.shape[3] // 2] = 1
        zeros = np.zeros(primary, np.float32)
        return np.concatenate([identity, kernel]), np.concatenate([zeros, bias])


def sink_concats(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """`graph` with concatenations moved behind the strided depthwise convolution that reads them.

    A depthwise convolution treats each channel alone. So the two parts of a Ghost module can be
    convolved first; the results have a quarter of the size. The outputs are bit-identical. The
    parts of convolution "name" are called "name:0", "name:1" and so on.
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
        name=f"{op.name}:{index}",
        weight=f"{op.weight}:{index}",
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


def rewrite_graph(graph: Graph, weights: Weights, form: FileForm) -> tuple[Graph, Weights]:
    """The graph to write and its weights. No pass changes the outputs.

    Args:
        graph: a network, or a part of one.
        weights: of the graph.
        form: which passes to run. An option that is `None` skips its pass.
    """
    if form.fuse_up_to:
        graph, weights = fuse_ghost_modules(graph, weights, form.fuse_up_to)
    if form.split_depthwise:
        graph, weights = split_depthwise(graph, weights)
    return arrange_channels(graph, weights, form)


def arrange_channels(graph: Graph, weights: Weights, form: FileForm) -> tuple[Graph, Weights]:
    """Run `pad_channels` and `sink_concats` as `form` says; they come after all other passes."""
    if (form.channel_multiple or 1) > 1:
        graph, weights = pad_channels(graph, weights, form.channel_multiple or 1)
    if form.sink_concats:
        graph, weights = sink_concats(graph, weights)
    return graph, weights

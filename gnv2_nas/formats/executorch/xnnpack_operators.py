"""Graph → XNNPACK's nodes, with one table from op kind to nodes.

A ReLU becomes the output limits of the convolution before it. XNNPACK has no nearest resize, so
this module repeats rows and columns by concatenation, which is as fast as copying.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

import numpy as np

from gnv2_nas.formats import nearest_sources
from gnv2_nas.formats.executorch.xnnpack_graph import INFINITY, XnnpackGraph
from gnv2_nas.graph.op import Graph, Op, OpKind
from gnv2_nas.graph.weights import Weights

_KEEP_DIMS = 0x40
_MAX_INPUTS = 5
_ROWS, _COLUMNS, _CHANNELS = 1, 2, 3
_RELU = (0.0, INFINITY)


class _Writer:
    """The delegate under construction, and the value of each op's output."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        self.graph, self.weights = graph, weights
        self.file = XnnpackGraph()
        self.values: dict[int, int] = {}
        self.limited = {
            source
            for source, numbers in enumerate(graph.readers())
            if graph.ops[source].kind == "conv"
            and [graph.ops[number].kind for number in numbers] == ["relu"]
        }
        """Convolutions that only a ReLU reads."""

    def inputs(self, op: Op) -> list[int]:
        return [self.values[source] for source in op.inputs]

    def reshape(self, value: int, dims: Sequence[int]) -> int:
        result = self.file.value(dims)
        self.file.node("reshape", len(dims), dims, value, result, 0)
        return result

    def slice_axis(self, value: int, axis: int, start: int, size: int) -> int:
        sizes, offsets = list(self.file.dims(value)), [0] * len(self.file.dims(value))
        if sizes[axis] == size:
            return value
        offsets[axis], sizes[axis] = start, size
        result = self.file.value(sizes)
        self.file.node("slice", len(sizes), offsets, sizes, value, result, 0)
        return result

    def concatenate(self, values: Sequence[int], axis: int) -> int:
        """Concatenate, at most `_MAX_INPUTS` at a time."""
        while len(values) > 1:
            values = [
                self._concatenate(values[start : start + _MAX_INPUTS], axis)
                for start in range(0, len(values), _MAX_INPUTS)
            ]
        return values[0]

    def _concatenate(self, values: Sequence[int], axis: int) -> int:
        if len(values) == 1:
            return values[0]
        dims = list(self.file.dims(values[0]))
        dims[axis] = sum(self.file.dims(value)[axis] for value in values)
        result = self.file.value(dims)
        first, second, third, fourth, fifth = [*values, 0, 0, 0][:_MAX_INPUTS]
        self.file.node(
            f"concatenate{len(values)}", axis, first, second, third, fourth, result, 0, fifth
        )
        return result


def subgraph(graph: Graph, weights: Weights) -> XnnpackGraph:
    """The whole network; its input is (1, 3, height, width), as in torch."""
    writer = _Writer(graph, weights)
    channels, height, width = graph.ops[0].shape
    image = writer.file.input((1, channels, height, width))
    turned = writer.file.value((1, height, width, channels))
    writer.file.node("transpose", 4, (0, 2, 3, 1), image, turned, 0)
    writer.values[0] = turned
    for number, op in enumerate(graph.ops[1:], start=1):
        writer.file.owner = op.name.split(":")[0]
        writer.values[number] = _NODES[op.kind](writer, number, op)
    return writer.file


def _result(writer: _Writer, op: Op) -> int:
    channels, height, width = op.shape
    return writer.file.value((1, height, width, channels))


def _conv(writer: _Writer, number: int, op: Op) -> int:
    kernel, bias = writer.weights.fold(op)
    depthwise = op.groups > 1
    # (1, height, width, out) of a depthwise convolution, else (out, height, width, in).
    weight = kernel.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
    result = _result(writer, op)
    (height, width), groups = op.kernel, op.groups
    writer.file.node(
        "depthwise_conv" if depthwise else "conv",
        height // 2, width // 2, height // 2, width // 2,
        height, width, op.stride, op.stride, 1, 1,
        op.in_channels // groups, op.shape[0] // groups, groups, 0, 0,
        *writer.inputs(op), writer.file.constant(weight), writer.file.constant(bias), result, 0,
        limits=_RELU if number in writer.limited else None,
    )  # fmt: skip
    return result


def _linear(writer: _Writer, _: int, op: Op) -> int:
    kernel, bias = writer.weights.fold(op)
    (value,) = writer.inputs(op)
    flat = writer.reshape(value, (1, op.in_channels))
    result = writer.file.output((1, op.shape[0]))
    constants = writer.file.constant(kernel), writer.file.constant(bias)
    writer.file.node("fully_connected", flat, *constants, result, 0)
    return result


def _relu(writer: _Writer, _: int, op: Op) -> int:
    if op.inputs[0] in writer.limited:
        return writer.values[op.inputs[0]]
    result = _result(writer, op)
    writer.file.node("clamp", *writer.inputs(op), result, 0, limits=_RELU)
    return result


def _hard_sigmoid(writer: _Writer, _: int, op: Op) -> int:
    """min(max(x + 3, 0), 6) / 6"""
    three, sixth = (
        writer.file.constant(np.full((1, 1, 1, 1), number, np.float32)) for number in (3, 1 / 6)
    )
    shifted, clipped, result = (_result(writer, op) for _ in range(3))
    writer.file.node("add", *writer.inputs(op), three, shifted, 0)
    writer.file.node("clamp", shifted, clipped, 0, limits=(0.0, 6.0))
    writer.file.node("multiply", clipped, sixth, result, 0)
    return result


def _plain(kind: str, flags: int = 0) -> Callable[[_Writer, int, Op], int]:
    def write(writer: _Writer, _: int, op: Op) -> int:
        result = _result(writer, op)
        writer.file.node(kind, *writer.inputs(op), result, flags)
        return result

    return write


def _pool(kind: str) -> Callable[[_Writer, int, Op], int]:
    def write(writer: _Writer, _: int, op: Op) -> int:
        result = _result(writer, op)
        window = (*op.kernel, op.stride, op.stride, 1, 1)
        writer.file.node(kind, 0, 0, 0, 0, *window, *writer.inputs(op), result, 0)
        return result

    return write


def _concat(writer: _Writer, _: int, op: Op) -> int:
    return writer.concatenate(writer.inputs(op), _CHANNELS)


def _slice(writer: _Writer, _: int, op: Op) -> int:
    (value,) = writer.inputs(op)
    return writer.slice_axis(value, _CHANNELS, 0, op.shape[0])


def _resize(writer: _Writer, _: int, op: Op) -> int:
    (value,) = writer.inputs(op)
    _, height, width = op.shape
    if op.mode == "bilinear":
        result = _result(writer, op)
        writer.file.node("resize_bilinear", height, width, value, result, 0)
        return result
    # Columns first: the map that is copied twice then has few rows.
    value = _repeat(writer, value, _COLUMNS, width)
    return _repeat(writer, value, _ROWS, height)


def _repeat(writer: _Writer, value: int, axis: int, size: int) -> int:
    """Repeat rows or columns up to `size`, each as often as torch's nearest resize does."""
    small = writer.file.dims(value)[axis]
    times = np.bincount(nearest_sources(small, size), minlength=small)
    parts, start = [], 0
    for repeats, alike in groupby(times.tolist()):
        count = len(list(alike))
        part = writer.slice_axis(value, axis, start, count)
        parts.append(_repeat_each(writer, part, axis, repeats))
        start += count
    return writer.concatenate(parts, axis)


def _repeat_each(writer: _Writer, value: int, axis: int, times: int) -> int:
    """(…, n, rest) → (…, n, times · rest), read as (…, n · times, rest)."""
    if times == 1:
        return value
    dims = list(writer.file.dims(value))
    before, after = int(np.prod(dims[: axis + 1])), int(np.prod(dims[axis + 1 :]))
    flat = writer.reshape(value, (before, after))
    dims[axis] *= times
    return writer.reshape(writer.concatenate([flat] * times, 1), dims)


_NODES: dict[OpKind, Callable[[_Writer, int, Op], int]] = {
    "conv": _conv,
    "linear": _linear,
    "relu": _relu,
    "hard_swish": _plain("hard_swish"),
    "sigmoid": _plain("sigmoid"),
    "hard_sigmoid": _hard_sigmoid,
    "avg_pool": _pool("avg_pool"),
    "max_pool": _pool("max_pool"),
    "global_pool": _plain("global_avg_pool", _KEEP_DIMS),
    "resize": _resize,
    "concat": _concat,
    "slice": _slice,
    "add": _plain("add"),
    "mul": _plain("multiply"),
}

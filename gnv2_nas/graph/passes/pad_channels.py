"""Channels zero-padded so that a runtime's blocked layout never has to be left.

ONNX Runtime's fast kernels work on blocks of 16 channels (AVX-512; 8 on AVX2). The halves of a
Ghost module rarely fill whole blocks (stock V2 1.0 has 8, 12, 20, 36, 60, 92 …), and around
each such half the runtime copies the map out of its layout and back.
Padding those halves with channels that are zero and stay unread gives the same outputs.

Every feature map gets a layout, the channels it holds and those it is padded to, part by part:
a Ghost module's output is two parts. Maps that are added, multiplied or passed through share a
layout, so the weights of each convolution can be spread out to fit the layouts it reads and
writes. What becomes of padding channels after a gate or an activation function does not matter,
since no weight reads them.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.graph.op import Graph, Op
from gnv2_nas.graph.weight_shapes import kernel_shape
from gnv2_nas.graph.weights import Array, Weights

Layout = tuple[tuple[int, int], ...]
"""(channels, channels with padding) of each part of a feature map."""

MOST_PADDING = 1.5
"""A part may grow by this factor: padding 10 to 16 costs more than leaving the layout."""

_SHARED = frozenset(
    {"relu", "hard_swish", "sigmoid", "hard_sigmoid", "avg_pool", "max_pool", "global_pool",
     "resize", "add", "mul"}
)  # fmt: skip
_FIXED = frozenset({"input", "linear", "slice"})


def layouts_of(graph: Graph, multiple: int) -> list[Layout]:
    """The layout of every op's output, channels padded to multiples of `multiple` where it pays."""
    return _Layouts(graph, multiple).all()


def padded(graph: Graph, layouts: list[Layout]) -> Graph:
    """`graph` with the channels of its layouts."""
    return Graph(tuple(_padded(op, number, layouts) for number, op in enumerate(graph.ops)))


def _padded(op: Op, number: int, layouts: list[Layout]) -> Op:
    in_channels = _size(layouts[op.inputs[0]]) if op.in_channels else 0
    return msgspec.structs.replace(
        op,
        shape=(_size(layouts[number]), *op.shape[1:]),
        in_channels=in_channels,
        groups=in_channels if op.groups > 1 else 1,
    )


def _size(layout: Layout) -> int:
    return sum(with_padding for _, with_padding in layout)


class SpreadWeights:
    """The weights of a graph where its padded form expects them, zeros between."""

    def __init__(self, graph: Graph, weights: Weights, layouts: list[Layout]) -> None:
        self._weights = weights
        self._places = {
            op.name: (op, _places(layouts[number]), _places(layouts[op.inputs[0]]))
            for number, op in enumerate(graph.ops)
            if op.weight
        }

    def folded(self, op: Op) -> tuple[Array, Array]:
        """Weights and bias of an op of the padded graph."""
        plain, rows, columns = self._places[op.name]
        kernel, bias = self._weights.folded(plain)
        if op.shape == plain.shape and op.in_channels == plain.in_channels:
            return kernel, bias
        spread_bias = np.zeros(op.shape[0], np.float32)
        spread_bias[rows] = bias
        spread = np.zeros(kernel_shape(op), np.float32)
        if op.groups > 1:
            spread[rows] = kernel
        else:
            spread[np.ix_(rows, columns)] = kernel
        return spread, spread_bias


def _places(layout: Layout) -> NDArray[np.intp]:
    """Where the channels stand among those with padding."""
    places, start = [], 0
    for channels, with_padding in layout:
        places.append(start + np.arange(channels))
        start += with_padding
    return np.concatenate(places)


class _Layouts:
    """Finds the layout of every op's output.

    Ops that must share a layout form a group; what a group's layout is follows from the
    concatenations and depthwise convolutions in it.
    """

    def __init__(self, graph: Graph, multiple: int) -> None:
        self.ops, self.multiple = graph.ops, multiple
        self.parent = list(range(len(graph.ops)))
        for number, op in enumerate(graph.ops):
            if op.kind in _SHARED or (op.groups > 1 and op.shape[0] == op.in_channels):
                for source in op.inputs:
                    self.parent[self._group(number)] = self._group(source)
        self.members: dict[int, list[Op]] = {}
        for number, op in enumerate(graph.ops):
            self.members.setdefault(self._group(number), []).append(op)
        self.unpadded: set[int] = set()
        self.known: dict[int, Layout] = {}
        for op in graph.ops:
            if op.kind == "slice":
                # It cuts through the middle of a part.
                self._leave_unpadded(self._group(op.inputs[0]))

    def _group(self, number: int) -> int:
        while self.parent[number] != number:
            number = self.parent[number]
        return number

    def all(self) -> list[Layout]:
        """One layout an op."""
        before = -1
        while len(self.unpadded) > before:
            # A conflict leaves more groups unpadded, and others follow from those.
            before = len(self.unpadded)
            self.known = {}
            layouts = [self._layout(self._group(number)) for number in range(len(self.ops))]
        return layouts

    def _layout(self, group: int) -> Layout:
        if group not in self.known:
            self.known[group] = self._decided(group)
        return self.known[group]

    def _decided(self, group: int) -> Layout:
        ops = self.members[group]
        channels = ops[0].shape[0]
        joined = {self._joined(op) for op in ops if op.kind == "concat"}
        fixed = any(op.kind in _FIXED for op in ops)
        if len(joined) > 1 or (joined and fixed):
            self._leave_unpadded(group)
        if group in self.unpadded or fixed:
            return ((channels, channels),)
        if joined:
            return joined.pop()
        for op in ops:
            if op.groups > 1 and op.shape[0] > op.in_channels:
                return self._multiplied(op)
        return ((channels, self._rounded(channels)),)

    def _joined(self, op: Op) -> Layout:
        parts = [self._layout(self._group(source)) for source in op.inputs]
        return tuple(part for layout in parts for part in layout)

    def _multiplied(self, op: Op) -> Layout:
        """Of a depthwise convolution that gives several channels for each it reads."""
        times = op.shape[0] // op.in_channels
        read = self._layout(self._group(op.inputs[0]))
        return tuple((channels * times, padded * times) for channels, padded in read)

    def _leave_unpadded(self, group: int) -> None:
        self.unpadded.add(group)
        for op in self.members[group]:
            if op.kind == "concat":
                self.unpadded.update(self._group(source) for source in op.inputs)

    def _rounded(self, channels: int) -> int:
        rounded = -(-channels // self.multiple) * self.multiple
        return rounded if rounded <= MOST_PADDING * channels else channels

"""Depthwise convolutions with one output for each input, for runtimes that are slow at others.

A Ghost module of ratio r > 2 makes r - 1 cheap maps of each primary map, with a depthwise
convolution that has r - 1 outputs for each input. XNNPACK runs that as a grouped convolution,
many times slower. Here it becomes r - 1 plain depthwise convolutions, and what was one map beside
the other for each input becomes one group of maps behind the other: another order of the channels.

Maps that are added, multiplied or passed through share their order. Each convolution takes the
weights in the order of what it reads and writes, so that nothing is ever moved. The channels that
a module cuts off stay, behind the same reordering: weights that are zero do not read them.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.graph.op import Graph, Op
from gnv2_nas.graph.weights import Array, Weights

Order = NDArray[np.intp]
"""For each channel of a map as written, its number in the graph; some may be past the last."""

_SHARED = frozenset(
    {"relu", "hard_swish", "sigmoid", "hard_sigmoid", "avg_pool", "max_pool", "global_pool",
     "resize", "add", "mul", "slice"}
)  # fmt: skip
_FIXED = frozenset({"input", "linear"})


def plain_depthwise(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """The same network without depthwise convolutions of several outputs for each input.

    Where the maps of two of them are added and their orders differ, they stay as they are.
    """
    orders = _Orders(graph)
    rewritten = _Rewritten(graph, weights, orders)
    return Graph(tuple(rewritten.ops)), rewritten


def _multiplier(op: Op) -> int:
    """Outputs for each input of a depthwise convolution; 1 for all other ops."""
    return op.shape[0] // op.in_channels if op.kind == "conv" and op.groups > 1 else 1


class _Orders:
    """Finds the order of every op's output."""

    def __init__(self, graph: Graph) -> None:
        self.ops = graph.ops
        self._parent = list(range(len(graph.ops)))
        for number, op in enumerate(graph.ops):
            if op.kind in _SHARED or (op.groups > 1 and _multiplier(op) == 1):
                for source in op.inputs:
                    self._parent[self._group(number)] = self._group(source)
        self._members: dict[int, list[int]] = {}
        for number in range(len(graph.ops)):
            self._members.setdefault(self._group(number), []).append(number)
        self._natural: set[int] = set()
        self._known: dict[int, Order] = {}
        self._settle()

    def of(self, number: int) -> Order:
        """Of the output of op `number`."""
        group = self._group(number)
        if group not in self._known:
            self._known[group] = self._decided(group)
        # In a group that keeps the graph's order, channels are cut off as they were.
        natural = group in self._natural
        return np.arange(self.ops[number].shape[0]) if natural else self._known[group]

    def is_split(self, number: int) -> bool:
        """Whether op `number` is written as several, one for each output of an input."""
        members = self._members[self._group(number)]
        return _multiplier(self.ops[members[0]]) > 1 and members[0] not in self._natural

    def is_dropped(self, number: int) -> bool:
        """Whether op `number` cuts channels off that may as well stay."""
        return self.ops[number].kind == "slice" and self._group(number) not in self._natural

    def _settle(self) -> None:
        """A group that must keep the graph's order takes those that are joined into it along."""
        before = -1
        while len(self._natural) > before:
            before = len(self._natural)
            self._known = {}
            for number in range(len(self.ops)):
                self.of(number)

    def _decided(self, group: int) -> Order:
        members = self._members[group]
        first = self.ops[members[0]]
        channels = np.arange(first.shape[0])
        joined = [self._joined(number) for number in members if self.ops[number].kind == "concat"]
        alike = all(np.array_equal(order, joined[0]) for order in joined)
        if not alike or any(self.ops[number].kind in _FIXED for number in members):
            self._keep(group)
        if group in self._natural:
            return channels
        if joined:
            return joined[0]
        if (times := _multiplier(first)) > 1:
            read = self.of(first.inputs[0])
            return np.concatenate([read * times + output for output in range(times)])
        return channels

    def _joined(self, number: int) -> Order:
        start, orders = 0, []
        for source in self.ops[number].inputs:
            orders.append(start + self.of(source))
            start += self.ops[source].shape[0]
        return np.concatenate(orders)

    def _keep(self, group: int) -> None:
        self._natural.add(group)
        for number in self._members[group]:
            if self.ops[number].kind == "concat":
                self._natural.update(self._group(source) for source in self.ops[number].inputs)

    def _group(self, number: int) -> int:
        while self._parent[number] != number:
            number = self._parent[number]
        return number


class _Rewritten:
    """The ops after the change, and their weights."""

    def __init__(self, graph: Graph, weights: Weights, orders: _Orders) -> None:
        self._weights = weights
        self._orders = orders
        self._source: dict[str, tuple[Op, Order, Order]] = {}
        self.ops: list[Op] = []
        self._places: list[list[int]] = []
        """Number of an op in the old graph → those of what it became."""
        for number, op in enumerate(graph.ops):
            if orders.is_dropped(number):
                self._places.append(self._places[op.inputs[0]])
                continue
            places = []
            for new in self._new(number, op):
                places.append(len(self.ops))
                self.ops.append(new)
            self._places.append(places)

    def folded(self, op: Op) -> tuple[Array, Array]:
        """Weights and bias of an op of the new graph."""
        old, rows, columns = self._source[op.name]
        kernel, bias = self._weights.folded(old)
        kernel = _taken(kernel, rows, 0)
        return (kernel if op.groups > 1 else _taken(kernel, columns, 1)), _taken(bias, rows, 0)

    def _new(self, number: int, op: Op) -> Iterator[Op]:
        order = self._orders.of(number)
        parts = np.split(order, self._parts(number))
        read = self._orders.of(op.inputs[0]) if op.in_channels else order
        for index, part in enumerate(parts):
            name = op.name if len(parts) == 1 else f"{op.name}:{index}"
            if op.weight:
                self._source[name] = (op, part, read)
            yield msgspec.structs.replace(
                op,
                name=name,
                weight=op.weight if len(parts) == 1 or not op.weight else f"{op.weight}:{index}",
                inputs=self._inputs(op, index),
                shape=(len(part), *op.shape[1:]),
                in_channels=len(read) if op.in_channels else 0,
                groups=len(read) if op.groups > 1 else 1,
            )

    def _parts(self, number: int) -> int:
        if not self._orders.is_split(number):
            return 1
        op = self._orders.ops[number]
        while _multiplier(op) == 1:
            op = self._orders.ops[op.inputs[0]]
        return _multiplier(op)

    def _inputs(self, op: Op, part: int) -> tuple[int, ...]:
        if op.kind == "concat":
            return tuple(place for source in op.inputs for place in self._places[source])
        sources = (self._places[source] for source in op.inputs)
        return tuple(places[part if len(places) > 1 else 0] for places in sources)


def _taken(array: Array, order: Order, axis: int) -> Array:
    """Elements of `array` in that order; zeros for those past its last."""
    count = array.shape[axis]
    if len(order) == count and bool((order == np.arange(count)).all()):
        return array
    taken = array.take(np.minimum(order, count - 1), axis)
    shape = [-1 if dimension == axis else 1 for dimension in range(array.ndim)]
    masked: Array = np.where((order < count).reshape(shape), taken, np.float32(0))
    return masked

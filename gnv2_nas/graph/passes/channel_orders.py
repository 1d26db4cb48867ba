"""Reordering and padding of channels: one order per feature map, and weights that follow it.

Maps that are added, multiplied or passed through an activation share an order. The weights of each
convolution follow the orders of the maps that it reads and writes, so nothing is moved at run time
and the outputs stay the same. What padding channels hold does not matter: every weight that reads
one is zero.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.graph.op import OP_TRAITS, Graph, Op
from gnv2_nas.graph.weights import Array, Weights

Order = NDArray[np.intp]
"""For each channel of a rewritten map, its index in the original map; `UNUSED` or any other index
past the end stands for padding."""

UNUSED = 1 << 40

_SHARED = frozenset(kind for kind, traits in OP_TRAITS.items() if traits.keeps_channels)
_FIXED = frozenset({"input", "linear"})


def depth_multiplier(op: Op) -> int:
    """Outputs per input channel of a depthwise convolution; 1 for all other ops."""
    return op.shape[0] // op.in_channels if op.kind == "conv" and op.groups > 1 else 1


class ChannelOrders:
    """The order of every op's output.

    Ops that must share an order form a group. A group keeps the original order if it holds the
    network's input or output, or two concatenations of different orders. The maps that are
    concatenated into such a group keep theirs, too. That may affect further groups, so the
    constructor repeats the search until nothing changes.

    Args:
        graph: the network.
        free: number of channels → the order of a convolution that nothing else constrains.
        multiply: order of the input, multiplier → order of a depthwise convolution's output.
        cut: whether slices cut channels off. If not, they share the order of what they read.
    """

    def __init__(
        self,
        graph: Graph,
        free: Callable[[int], Order],
        multiply: Callable[[Order, int], Order],
        *,
        cut: bool,
    ) -> None:
        self._ops = graph.ops
        self._free, self._multiply = free, multiply
        self._fixed = _FIXED | {"slice"} if cut else _FIXED
        shared = _SHARED if cut else _SHARED | {"slice"}
        self._parent = list(range(len(graph.ops)))
        for number, op in enumerate(graph.ops):
            if op.kind in shared or (op.groups > 1 and depth_multiplier(op) == 1):
                for source in op.inputs:
                    self._parent[self._group(number)] = self._group(source)
        self._members: dict[int, list[int]] = {}
        for number in range(len(graph.ops)):
            self._members.setdefault(self._group(number), []).append(number)
        self._unchanged: set[int] = set()
        for op in graph.ops:
            if cut and op.kind == "slice":
                self._keep(self._group(op.inputs[0]))
        self._known: dict[int, Order] = {}
        self._solve()

    def of(self, number: int) -> Order:
        """The order of the output of op `number`."""
        group = self._group(number)
        if group not in self._known:
            self._known[group] = self._decide(group)
        # Slices of an unchanged group have fewer channels than its first member.
        return (
            np.arange(self._ops[number].shape[0])
            if group in self._unchanged
            else self._known[group]
        )

    def is_unchanged(self, number: int) -> bool:
        """Whether the output of op `number` keeps its original order."""
        return self._group(number) in self._unchanged

    def _solve(self) -> None:
        before = -1
        while len(self._unchanged) > before:
            before = len(self._unchanged)
            self._known = {}
            for number in range(len(self._ops)):
                self.of(number)

    def _decide(self, group: int) -> Order:
        ops = [self._ops[number] for number in self._members[group]]
        channels = ops[0].shape[0]
        concats = [self._concatenate(op) for op in ops if op.kind == "concat"]
        agree = all(np.array_equal(order, concats[0]) for order in concats)
        if not agree or any(op.kind in self._fixed for op in ops):
            self._keep(group)
        if group in self._unchanged:
            return np.arange(channels)
        if concats:
            return concats[0]
        for op in ops:
            if (times := depth_multiplier(op)) > 1:
                return self._multiply(self.of(op.inputs[0]), times)
        return self._free(channels)

    def _concatenate(self, op: Op) -> Order:
        start, orders = 0, []
        for source in op.inputs:
            order, channels = self.of(source), self._ops[source].shape[0]
            orders.append(np.where(order < channels, start + order, UNUSED))
            start += channels
        return np.concatenate(orders)

    def _keep(self, group: int) -> None:
        self._unchanged.add(group)
        for number in self._members[group]:
            if self._ops[number].kind == "concat":
                self._unchanged.update(self._group(source) for source in self._ops[number].inputs)

    def _group(self, number: int) -> int:
        while self._parent[number] != number:
            number = self._parent[number]
        return number


class OrderedWeights:
    """The weights of a graph in other channel orders."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._sources: dict[str, tuple[Op, Order, Order]] = {}

    def reorder(
        self, op: Op, order: Order, read: Order, suffix: str, inputs: tuple[int, ...]
    ) -> Op:
        """`op` with outputs in `order` and inputs in the order `read`; `suffix` is appended to
        the names of op and weights."""
        name = f"{op.name}{suffix}"
        if op.weight:
            self._sources[name] = (op, order, read)
        channels = len(read) if op.in_channels else 0
        return msgspec.structs.replace(
            op,
            name=name,
            weight=f"{op.weight}{suffix}" if op.weight else "",
            inputs=inputs,
            shape=(len(order), *op.shape[1:]),
            in_channels=channels,
            groups=channels if op.groups > 1 else 1,
        )

    def fold(self, op: Op) -> tuple[Array, Array]:
        """Weights and bias of an op that `reorder` returned."""
        original, order, read = self._sources[op.name]
        kernel, bias = self._weights.fold(original)
        kernel = _take(kernel, order, 0)
        return (kernel if op.groups > 1 else _take(kernel, read, 1)), _take(bias, order, 0)


def _take(array: Array, order: Order, axis: int) -> Array:
    """Elements of `array` in `order` along `axis`; zeros for padding."""
    count = array.shape[axis]
    used = order < count
    if len(order) == count and bool((order == np.arange(count)).all()):
        return array
    if used.all():
        return array.take(order, axis)
    shape = [*array.shape]
    shape[axis] = len(order)
    taken = np.zeros(shape, np.float32)
    before = (slice(None),) * axis
    taken[(*before, used)] = array.take(order[used], axis)
    return taken

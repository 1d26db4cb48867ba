"""Passes that change the channels of feature maps: `pad_channels` and `split_depthwise`.

Both give every feature map a new order of channels, and weights that follow it. Maps that are
added, multiplied or passed through an activation share an order. The weights of each convolution
follow the orders of the maps that it reads and writes, so nothing is moved at run time and the
outputs stay the same. Padding channels may hold any value: every weight that reads one is zero.
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


MAX_PADDING = 1.5
"""Largest factor by which padding grows a map. Padding 10 channels to 16 costs more than leaving
the blocked format."""


def pad_channels(graph: Graph, weights: Weights, multiple: int) -> tuple[Graph, Weights]:
    """`graph` with channels padded to multiples of `multiple` where that pays, and its weights.

    ONNX Runtime's fast kernels work on blocks of 16 channels (AVX-512; 8 on AVX2). The halves of a
    Ghost module rarely fill whole blocks (stock V2 1.0 has 8, 12, 20, 36, 60, 92 …), and the
    runtime converts each such map out of its blocked format and back. Padding avoids that.
    """

    def pad(channels: int) -> Order:
        whole = -(-channels // multiple) * multiple
        size = whole if whole <= MAX_PADDING * channels else channels
        return np.concatenate([np.arange(channels), np.full(size - channels, UNUSED)])

    orders = ChannelOrders(graph, pad, _multiply_together, cut=True)
    new_weights = OrderedWeights(weights)
    ops = [
        new_weights.reorder(
            op, orders.of(number), orders.of(op.inputs[0] if op.inputs else 0), "", op.inputs
        )
        for number, op in enumerate(graph.ops)
    ]
    return Graph(tuple(ops)), new_weights


def _multiply_together(read: Order, times: int) -> Order:
    """The outputs of one input channel stay together."""
    return (read[:, np.newaxis] * times + np.arange(times)).ravel()


def split_depthwise(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """The same network without depthwise convolutions of several outputs per input channel.

    In a Ghost module of ratio r > 2, the cheap convolution has r - 1 outputs per input channel.
    XNNPACK runs it as a grouped convolution, many times slower than a depthwise one. This pass
    writes r - 1 plain depthwise convolutions instead, so the channels have another order: first
    all first copies, then all second copies, and so on. Channels that a module cuts off stay in
    the map; the weights that read them are zero.

    If two of them feed one addition and their orders differ, both stay as they are. The parts of
    op "name" are called "name:0", "name:1" and so on.
    """
    orders = ChannelOrders(graph, np.arange, _multiply_apart, cut=False)
    split = OrderedWeights(weights)
    ops: list[Op] = []
    numbers: list[list[int]] = []
    """Number of an op in `graph` → the numbers of its parts in `ops`."""
    for number, op in enumerate(graph.ops):
        sources = [numbers[source] for source in op.inputs]
        if op.kind == "slice" and not orders.is_unchanged(number):
            numbers.append(sources[0])
            continue
        parts = 1
        if not orders.is_unchanged(number) and op.kind != "concat":
            parts = max(depth_multiplier(op), *map(len, sources), 1)
        read = orders.of(op.inputs[0] if op.inputs else 0)
        numbers.append([])
        for index, order in enumerate(np.split(orders.of(number), parts)):
            inputs = tuple(source[index if len(source) > 1 else 0] for source in sources)
            if op.kind == "concat":
                inputs = tuple(part for source in sources for part in source)
            numbers[-1].append(len(ops))
            suffix = "" if parts == 1 else f":{index}"
            ops.append(split.reorder(op, order, read, suffix, inputs))
    return Graph(tuple(ops)), split


def _multiply_apart(read: Order, times: int) -> Order:
    """First the first output of each input channel, then the second, and so on."""
    return np.concatenate([read * times + output for output in range(times)])

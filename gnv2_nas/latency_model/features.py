"""Features of a latency model: a theoretical cost, and the share of each kind of work in it.

The first column is the log of the theoretical cost, summed over the operators. The others are the
shares of each kind of work in that cost, by the reduction of the feature map. Time adds up over
operators. If the pointwise convolutions at 28 pixels of a device take twice the theoretical time,
its log latency rises by about their share of the cost. A linear model of the logarithm is therefore
a first-order expansion of a sum of times. The features belong to no search space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.graph import Graph, Op
from gnv2_nas.graph.count import FLOAT_BYTES
from gnv2_nas.graph.passes.channels import MAX_PADDING
from gnv2_nas.stats.ridge import Matrix, Vector

Numbers = NDArray[np.intp]

BLOCK = 16
"""Channels that fast kernels process at a time, see `graph.passes.pad_channels`."""
NARROW = 64
"""Up to so many channels a runtime may have no concatenations left, see `fuse_ghost_modules`."""
MAX_REDUCTION = 5

KINDS = (
    "pointwise", "attention_pointwise", "full", "depthwise", "attention_depthwise", "vector",
    "activation", "gate", "pool", "global_pool", "resize", "concat", "slice", "add",
    "mul", "narrow_concat",
)  # fmt: skip
"""Kinds of work. Convolutions are told apart, activation functions are not. "vector" is a
convolution of a single pixel, and the classifier."""
_POINTWISE, _ATTENTION, _FULL, _DEPTHWISE, _ATTENTION_DEPTHWISE, _VECTOR = range(6)
_CONVOLUTIONS = 6
"""Number of the first kinds, which multiply and add."""
_CONCAT, _NARROW_CONCAT = KINDS.index("concat"), KINDS.index("narrow_concat")
_SLICE = KINDS.index("slice")
_DOUBLINGS = 8
"""Steps that follow a chain of 256 operators to its beginning; each doubles the distance."""
_KIND_OF = MappingProxyType(
    {
        "input": "slice", "conv": "pointwise", "linear": "vector", "relu": "activation",
        "hard_swish": "activation", "sigmoid": "gate", "hard_sigmoid": "gate", "avg_pool": "pool",
        "max_pool": "pool",
    }
)  # fmt: skip
_NUMBER = MappingProxyType(
    {kind: KINDS.index(_KIND_OF.get(kind, kind)) for kind in (*_KIND_OF, *KINDS[9:-1])}
)


class OpTable(msgspec.Struct, frozen=True):
    """The operators of many graphs. All arrays are (operators,), the first graph's first."""

    graph: Numbers
    kind: Numbers
    """Index into `KINDS`."""
    reduction: Numbers
    """Number of times that the input's height was halved for the operator's map."""
    padded_macs: Vector
    """Multiply-adds with output channels padded to whole blocks where that pays."""
    bytes: Vector
    """Bytes read and written."""
    unaligned_bytes: Vector
    """Bytes written in channels that do not fill whole blocks: the runtime copies them."""


def op_table(graphs: Sequence[Graph]) -> OpTable:
    """Return the table of the operators of all graphs."""
    ops = [op for graph in graphs for op in graph.ops]
    lengths = np.array([len(graph.ops) for graph in graphs])
    first = np.repeat(np.cumsum(lengths) - lengths, lengths)
    channels, height, width = _array([op.shape for op in ops])
    kernel_height, kernel_width = _array([op.kernel for op in ops])
    groups = np.array([op.groups for op in ops])
    pixels, taps = height * width, kernel_height * kernel_width
    number = np.array([_NUMBER[op.kind] for op in ops])
    kind = _kinds(ops, number, pixels, taps, groups)
    kind[(kind == _CONCAT) & (channels <= NARROW)] = _NARROW_CONCAT
    source, second = _sources(ops, first)
    widths = _pad(channels, number, source, second)
    of_group = np.where(groups > 1, 1, widths[source])
    macs = widths * of_group * taps * pixels
    written = widths * pixels * FLOAT_BYTES
    # An operator with one source lists it twice; it is read once.
    read = written[source] + np.where(second == source, 0, written[second])
    reduction = np.log2(np.maximum(height[first] / height, 1)).round().clip(0, MAX_REDUCTION)
    return OpTable(
        graph=np.repeat(np.arange(len(graphs)), lengths),
        kind=kind,
        reduction=np.where(pixels == 1, MAX_REDUCTION, reduction).astype(np.intp),
        padded_macs=np.where(kind < _CONVOLUTIONS, macs, 0),
        bytes=written + read,
        unaligned_bytes=np.where(widths % BLOCK > 0, written, 0),
    )


def _array(rows: Sequence[Sequence[int]]) -> Matrix:
    """Return the transposed rows. A flat list halves the time that NumPy needs."""
    flat = np.fromiter(chain.from_iterable(rows), np.float64)
    result: Matrix = flat.reshape(len(rows), -1).T
    return result


def _sources(ops: Sequence[Op], first: Numbers) -> tuple[Numbers, Numbers]:
    """Return the numbers of the first and last operator that each one reads; its own for inputs."""
    inputs = [op.inputs for op in ops]
    lengths = np.fromiter(map(len, inputs), np.intp, len(ops))
    ends = np.cumsum(lengths)
    flat = np.fromiter(chain.from_iterable(inputs), np.intp, ends[-1])
    begins = np.minimum(ends - lengths, len(flat) - 1)
    reads, itself = lengths > 0, np.arange(len(ops))
    source = np.where(reads, flat[begins] + first, itself)
    second = np.where(reads, flat[ends - 1] + first, itself)
    return source, second


def _kinds(
    ops: Sequence[Op], number: Numbers, pixels: Vector, taps: Vector, groups: Numbers
) -> Numbers:
    """Return indices into `KINDS`: `number` with the convolutions told apart."""
    attention = np.array([op.role == "dfc" for op in ops])
    depthwise = np.where(attention, _ATTENTION_DEPTHWISE, _DEPTHWISE)
    pointwise = np.where(attention, _ATTENTION, _POINTWISE)
    convolution = np.where(groups > 1, depthwise, np.where(taps > 1, _FULL, pointwise))
    convolution = np.where(pixels == 1, _VECTOR, convolution)
    found: Numbers = np.where(number == _POINTWISE, convolution, number)
    return found


def _pad(channels: Vector, number: Numbers, source: Numbers, second: Numbers) -> Vector:
    """Return channels with padding, approximately as `pad_channels` pads them.

    Convolutions pad their output, a concatenation has the padding of both parts, and an operator
    that works on each channel by itself has that of its source.
    """
    whole = np.ceil(channels / BLOCK) * BLOCK
    widths = np.where(whole <= MAX_PADDING * channels, whole, channels)
    itself = np.arange(len(channels))
    decides = (number < _CONVOLUTIONS) | (number == _SLICE) | (number == _CONCAT)
    origin = np.where(decides, itself, source)
    for _ in range(_DOUBLINGS):
        origin = origin[origin]
    concats = number == _CONCAT
    widths[number == _SLICE] = channels[number == _SLICE]
    widths[concats] = widths[origin[source[concats]]] + widths[origin[second[concats]]]
    result: Vector = widths[origin]
    return result


REDUCTIONS = 6
"""Maps of full size, a half, … a 32nd of the input's height."""

MACS_PER_NANOSECOND = {"pointwise": 40.0, "attention_pointwise": 40.0, "full": 20.0}
"""Orders of magnitude for one core. A model learns how far its device deviates."""
SLOW_MACS_PER_NANOSECOND = 8.0
"""Rate of depthwise convolutions and those of a single pixel, which are bound by memory."""
BYTES_PER_NANOSECOND = 20.0
NANOSECONDS_PER_OP = 1500.0

_ARITHMETIC = (
    "pointwise", "attention_pointwise", "full", "depthwise", "attention_depthwise", "vector",
)  # fmt: skip
_QUANTITIES = (
    *(("macs", kind) for kind in _ARITHMETIC),
    *(("bytes", kind) for kind in KINDS),
    *(("ops", kind) for kind in KINDS),
    *(("unaligned", kind) for kind in ("pointwise", "depthwise")),
)

GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "convolutions": ("macs.pointwise", "macs.full", "macs.vector"),
        "depthwise": ("macs.depthwise",),
        "attention": ("macs.attention_pointwise", "macs.attention_depthwise"),
        "traffic": ("bytes.",),
        "operators": ("ops.",),
        "unaligned": ("unaligned.",),
    }
)
"""Kind of work that a device may do faster or slower → prefixes of its features' names."""


def feature_names() -> list[str]:
    """Return the name of each column of `latency_features`: "log_cost", "macs.pointwise.2" …"""
    columns = [
        f"{name}.{kind}.{halved}" for name, kind in _QUANTITIES for halved in range(REDUCTIONS)
    ]
    return ["log_cost", *columns]


def latency_features(graphs: Sequence[Graph]) -> Matrix:
    """Return (n, d) features: a row for each graph, a column for each of `feature_names`.

    The first column is the log of the theoretical nanoseconds; the others are shares of them.
    """
    costs = _sum_costs(op_table(graphs), len(graphs))
    total = costs.sum(axis=1, keepdims=True)
    return np.hstack([np.log(total), costs / total])


def correction_features(features: Matrix, predicted: Vector) -> Matrix:
    """Return (n, 1 + groups): the first device's prediction, and the share of each group of work.

    Args:
        features: (n, d) `latency_features`.
        predicted: (n,) log ratios on the first device.
    """
    names = feature_names()
    columns = [
        features[:, [name.startswith(beginnings) for name in names]].sum(axis=1)
        for beginnings in GROUPS.values()
    ]
    return np.column_stack([predicted, *columns])


def _sum_costs(table: OpTable, graphs: int) -> Matrix:
    """Return (graphs, quantities · reductions) theoretical nanoseconds."""
    quantities = {
        "macs": table.padded_macs / _rates()[table.kind],
        "bytes": table.bytes / BYTES_PER_NANOSECOND,
        "ops": np.full(len(table.kind), NANOSECONDS_PER_OP),
        "unaligned": table.unaligned_bytes / BYTES_PER_NANOSECOND,
    }
    cells = len(KINDS) * REDUCTIONS
    place = table.graph * cells + table.kind * REDUCTIONS + table.reduction
    sums = {
        name: np.bincount(place, each, graphs * cells).reshape(graphs, len(KINDS), REDUCTIONS)
        for name, each in quantities.items()
    }
    columns = [sums[name][:, KINDS.index(kind)] for name, kind in _QUANTITIES]
    return np.hstack(columns)


def _rates() -> Vector:
    return np.array([MACS_PER_NANOSECOND.get(kind, SLOW_MACS_PER_NANOSECOND) for kind in KINDS])

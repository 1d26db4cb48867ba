"""The operators of many graphs as arrays, one entry an operator: what features are summed from.

What a latency model reads off a graph: what it should cost in theory, and where that goes.

The first column is the logarithm of a theoretical cost, summed over the operators; the others are
the shares that each kind of work has in it, by how far the map has been reduced. Time adds up over
operators, so a device whose pointwise convolutions at 28 pixels take twice what theory says shifts
the log of its latency by about the share they have in the cost: a linear model of the logarithm is
a first-order expansion of a sum of times. Nothing here belongs to one search space.
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
"""Channels that a runtime's fast kernels take at a time, see `pad_channels`."""
NARROW = 64
"""Up to so many channels a runtime may have no concatenations left, see `fuse_ghost_modules`."""
LAST_STAGE = 5

KINDS = (
    "pointwise", "attention_pointwise", "full", "depthwise", "attention_depthwise", "vector",
    "activation", "gate", "pool", "global_pool", "resize", "concat", "slice", "add",
    "mul", "narrow_concat",
)  # fmt: skip
"""Kinds of work: convolutions told apart, activation functions alike. "vector" is what convolves a
single pixel, and the classifier."""
_POINTWISE, _ATTENTION, _FULL, _DEPTHWISE, _ATTENTION_DEPTHWISE, _VECTOR = range(6)
_CONVOLUTIONS = 6
"""So many of the first kinds multiply and add."""
_CONCAT, _NARROW_CONCAT = KINDS.index("concat"), KINDS.index("narrow_concat")
_SLICE = KINDS.index("slice")
_DOUBLINGS = 8
"""Steps in which a chain of 256 operators is followed to its beginning, twice as far each time."""
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
    """All arrays are (operators,), those of the first graph first."""

    graph: Numbers
    kind: Numbers
    """Of `KINDS`."""
    stage: Numbers
    """How often the height of the input has been halved in the map that it works on."""
    padded_macs: Vector
    """Multiply-adds with the channels it writes padded to whole blocks where that pays."""
    bytes: Vector
    """Read and written."""
    unaligned_bytes: Vector
    """Written in channels that do not fill whole blocks: the runtime copies them."""


def op_table(graphs: Sequence[Graph]) -> OpTable:
    """The operators of all graphs."""
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
    padded = _padded(channels, number, source, second)
    of_group = np.where(groups > 1, 1, padded[source])
    macs = padded * of_group * taps * pixels
    written = padded * pixels * FLOAT_BYTES
    # A second source that is none reads nothing.
    read = written[source] + np.where(second == source, 0, written[second])
    stage = np.log2(np.maximum(height[first] / height, 1)).round().clip(0, LAST_STAGE)
    return OpTable(
        graph=np.repeat(np.arange(len(graphs)), lengths),
        kind=kind,
        stage=np.where(pixels == 1, LAST_STAGE, stage).astype(np.intp),
        padded_macs=np.where(kind < _CONVOLUTIONS, macs, 0),
        bytes=written + read,
        unaligned_bytes=np.where(padded % BLOCK > 0, written, 0),
    )


def _array(rows: Sequence[Sequence[int]]) -> Matrix:
    """The transposed rows; from one flat list, which NumPy reads in half the time."""
    flat = np.fromiter(chain.from_iterable(rows), np.float64)
    result: Matrix = flat.reshape(len(rows), -1).T
    return result


def _sources(ops: Sequence[Op], first: Numbers) -> tuple[Numbers, Numbers]:
    """Numbers of the first and the last operator that each one reads; its own for the input."""
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
    """Numbers of `KINDS`: `number` with the convolutions told apart."""
    attention = np.array([op.role == "dfc" for op in ops])
    depthwise = np.where(attention, _ATTENTION_DEPTHWISE, _DEPTHWISE)
    pointwise = np.where(attention, _ATTENTION, _POINTWISE)
    convolution = np.where(groups > 1, depthwise, np.where(taps > 1, _FULL, pointwise))
    convolution = np.where(pixels == 1, _VECTOR, convolution)
    found: Numbers = np.where(number == _POINTWISE, convolution, number)
    return found


def _padded(channels: Vector, number: Numbers, source: Numbers, second: Numbers) -> Vector:
    """Channels with padding, very nearly as `pad_channels` pads them.

    Convolutions pad what they write, a concatenation has the padding of both its parts, and what
    works on each channel by itself has that of its source.
    """
    whole = np.ceil(channels / BLOCK) * BLOCK
    padded = np.where(whole <= MAX_PADDING * channels, whole, channels)
    itself = np.arange(len(channels))
    decides = (number < _CONVOLUTIONS) | (number == _SLICE) | (number == _CONCAT)
    origin = np.where(decides, itself, source)
    for _ in range(_DOUBLINGS):
        origin = origin[origin]
    joined = number == _CONCAT
    padded[number == _SLICE] = channels[number == _SLICE]
    padded[joined] = padded[origin[source[joined]]] + padded[origin[second[joined]]]
    result: Vector = padded[origin]
    return result


STAGES = 6
"""Maps of full size, a half, … a 32nd of the input's height."""

MACS_PER_NANOSECOND = {"pointwise": 40.0, "attention_pointwise": 40.0, "full": 20.0}
"""Orders of magnitude for one core; a model learns how far its device is from them."""
SLOW_MACS_PER_NANOSECOND = 8.0
"""Of depthwise convolutions and those on a single pixel, which wait for memory."""
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
"""What a device may be better or worse at → beginnings of the names of its features."""


def feature_names() -> list[str]:
    """Name of each column of `latency_features`: "log_cost", "macs.pointwise.2" …"""
    columns = [f"{name}.{kind}.{stage}" for name, kind in _QUANTITIES for stage in range(STAGES)]
    return ["log_cost", *columns]


def latency_features(graphs: Sequence[Graph]) -> Matrix:
    """(n, d): a row for each graph, a column for each of `feature_names`.

    The first column is the log of nanoseconds in theory, all others are shares of those.
    """
    costs = _costs(op_table(graphs), len(graphs))
    total = costs.sum(axis=1, keepdims=True)
    return np.hstack([np.log(total), costs / total])


def correction_features(features: Matrix, predicted: Vector) -> Matrix:
    """(n, 1 + groups): what the first device's model says, and the share of each group of work.

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


def _costs(table: OpTable, graphs: int) -> Matrix:
    """(graphs, quantities * stages), nanoseconds in theory."""
    quantities = {
        "macs": table.padded_macs / _rates()[table.kind],
        "bytes": table.bytes / BYTES_PER_NANOSECOND,
        "ops": np.full(len(table.kind), NANOSECONDS_PER_OP),
        "unaligned": table.unaligned_bytes / BYTES_PER_NANOSECOND,
    }
    cells = len(KINDS) * STAGES
    place = table.graph * cells + table.kind * STAGES + table.stage
    sums = {
        name: np.bincount(place, each, graphs * cells).reshape(graphs, len(KINDS), STAGES)
        for name, each in quantities.items()
    }
    columns = [sums[name][:, KINDS.index(kind)] for name, kind in _QUANTITIES]
    return np.hstack(columns)


def _rates() -> Vector:
    return np.array([MACS_PER_NANOSECOND.get(kind, SLOW_MACS_PER_NANOSECOND) for kind in KINDS])

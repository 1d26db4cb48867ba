"""The operators of many graphs as arrays, one entry an operator: what features are summed from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from types import MappingProxyType

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.graph import Graph, Op
from gnv2_nas.graph.count import FLOAT_BYTES
from gnv2_nas.graph.passes.pad_channels import MOST_PADDING
from gnv2_nas.stats import Matrix, Vector

Numbers = NDArray[np.intp]

BLOCK = 16
"""Channels that a runtime's fast kernels take at a time, see `graph.alignment`."""
NARROW = 64
"""Up to so many channels a runtime may have no concatenations left, see `graph.joined`."""
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
    attention = np.array([".short_conv" in op.name for op in ops])
    depthwise = np.where(attention, _ATTENTION_DEPTHWISE, _DEPTHWISE)
    pointwise = np.where(attention, _ATTENTION, _POINTWISE)
    convolution = np.where(groups > 1, depthwise, np.where(taps > 1, _FULL, pointwise))
    convolution = np.where(pixels == 1, _VECTOR, convolution)
    found: Numbers = np.where(number == _POINTWISE, convolution, number)
    return found


def _padded(channels: Vector, number: Numbers, source: Numbers, second: Numbers) -> Vector:
    """Channels with padding, very nearly as `graph.alignment` pads them.

    Convolutions pad what they write, a concatenation has the padding of both its parts, and what
    works on each channel by itself has that of its source.
    """
    whole = np.ceil(channels / BLOCK) * BLOCK
    padded = np.where(whole <= MOST_PADDING * channels, whole, channels)
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

"""The operators of many graphs as arrays, one entry an operator: what features are summed from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from types import MappingProxyType

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.graph import Graph, Op
from gnv2_nas.graph.alignment import MOST_PADDING
from gnv2_nas.graph.count import FLOAT_BYTES
from gnv2_nas.regression import Matrix, Vector

Numbers = NDArray[np.intp]

BLOCK = 16
"""Channels that a runtime's fast kernels take at a time, see `graph.alignment`."""
LAST_STAGE = 5

KINDS = (
    "pointwise", "attention_pointwise", "full", "depthwise", "attention_depthwise", "vector",
    "activation", "gate", "pool", "global_pool", "resize", "concat", "slice", "add", "mul",
)  # fmt: skip
"""Kinds of work: convolutions told apart, activation functions alike. "vector" is whatever works
on a single pixel."""
_POINTWISE, _ATTENTION, _FULL, _DEPTHWISE, _ATTENTION_DEPTHWISE, _VECTOR = range(6)
_CONVOLUTIONS = 6
"""So many of the first kinds multiply and add."""
_KIND_OF = MappingProxyType(
    {
        "input": "slice", "conv": "pointwise", "linear": "vector", "relu": "activation",
        "hard_swish": "activation", "sigmoid": "gate", "hard_sigmoid": "gate", "avg_pool": "pool",
        "max_pool": "pool",
    }
)  # fmt: skip
_NUMBER = MappingProxyType(
    {kind: KINDS.index(_KIND_OF.get(kind, kind)) for kind in (*_KIND_OF, *KINDS[9:])}
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
    in_channels = np.array([op.in_channels for op in ops], np.float64)
    groups = np.array([op.groups for op in ops])
    pixels, taps = height * width, kernel_height * kernel_width
    is_conv = np.array([op.kind == "conv" for op in ops])
    padded = _padded(channels)
    kind = _kinds(ops, pixels, taps, groups, is_conv)
    stage = np.log2(np.maximum(height[first] / height, 1)).round().clip(0, LAST_STAGE)
    written = channels * pixels * FLOAT_BYTES
    unaligned = is_conv & (padded % BLOCK > 0)
    return OpTable(
        graph=np.repeat(np.arange(len(graphs)), lengths),
        kind=kind,
        stage=np.where(pixels == 1, LAST_STAGE, stage).astype(np.intp),
        padded_macs=padded * in_channels / groups * taps * pixels * (kind < _CONVOLUTIONS),
        bytes=written + _read(ops, written, first),
        unaligned_bytes=np.where(unaligned, written, 0),
    )


def _array(rows: Sequence[Sequence[int]]) -> Matrix:
    """The transposed rows; from one flat list, which NumPy reads in half the time."""
    flat = np.fromiter(chain.from_iterable(rows), np.float64)
    result: Matrix = flat.reshape(len(rows), -1).T
    return result


def _read(ops: Sequence[Op], written: Vector, first: Numbers) -> Vector:
    """Bytes of all maps that each operator reads."""
    sources = [op.inputs for op in ops]
    counts = np.array([len(each) for each in sources])
    reader = np.repeat(np.arange(len(ops)), counts)
    source = np.fromiter(chain.from_iterable(sources), np.intp) + first[reader]
    result: Vector = np.bincount(reader, written[source], len(ops)).astype(np.float64)
    return result


def _kinds(
    ops: Sequence[Op], pixels: Vector, taps: Vector, groups: Numbers, is_conv: NDArray[np.bool_]
) -> Numbers:
    """Numbers of `KINDS`."""
    kind = np.array([_NUMBER[op.kind] for op in ops])
    attention = np.array([".short_conv" in op.name for op in ops])
    depthwise = np.where(attention, _ATTENTION_DEPTHWISE, _DEPTHWISE)
    pointwise = np.where(attention, _ATTENTION, _POINTWISE)
    convolution = np.where(groups > 1, depthwise, np.where(taps > 1, _FULL, pointwise))
    found: Numbers = np.where(is_conv, np.where(pixels == 1, _VECTOR, convolution), kind)
    return found


def _padded(channels: Vector) -> Vector:
    """Channels with padding, as `graph.alignment` pads them."""
    whole = np.ceil(channels / BLOCK) * BLOCK
    result: Vector = np.where(whole <= MOST_PADDING * channels, whole, channels)
    return result

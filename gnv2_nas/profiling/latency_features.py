"""What a latency model reads off a graph: what it should cost in theory, and where that goes.

The first column is the logarithm of a theoretical cost, summed over the operators; the others are
the shares that each kind of work has in it, by how far the map has been reduced. Time adds up over
operators, so a device whose pointwise convolutions at 28 pixels take twice what theory says shifts
the log of its latency by about the share they have in the cost: a linear model of the logarithm is
a first-order expansion of a sum of times. Nothing here belongs to one search space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from gnv2_nas.graph import Graph
from gnv2_nas.profiling.op_table import KINDS, OpTable, op_table
from gnv2_nas.stats import Matrix, Vector

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

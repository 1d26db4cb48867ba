"""The operators of a network with their shapes: lowered and counted. Imports no torch."""

from gnv2_nas.graph.count import (
    Counts,
    count,
    count_graph,
    op_activation_bytes,
    op_macs,
)
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import Graph, Op

__all__ = [
    "Counts",
    "Graph",
    "Op",
    "count",
    "count_graph",
    "lower",
    "op_activation_bytes",
    "op_macs",
]

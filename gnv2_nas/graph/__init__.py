"""The operators of a network with their shapes: counting and writing. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gnv2_nas.graph.count import (
    Counts,
    count,
    count_graph,
    op_activation_bytes,
    op_macs,
    op_params,
    op_weight_bytes,
)
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.op import Graph, Op

if TYPE_CHECKING:
    from gnv2_nas.arch import Architecture

__all__ = [
    "Counts",
    "Graph",
    "Op",
    "count",
    "count_graph",
    "lower",
    "onnx_bytes",
    "op_activation_bytes",
    "op_macs",
    "op_params",
    "op_weight_bytes",
]


def onnx_bytes(arch: Architecture, model: Any = None, **options: Any) -> bytes:
    """See `gnv2_nas.graph.onnx_writer.onnx_bytes`; imports onnx when first called."""
    from gnv2_nas.graph.onnx_writer import onnx_bytes as write

    return write(arch, model, **options)

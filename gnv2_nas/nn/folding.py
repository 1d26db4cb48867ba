"""Batch norm by given statistics folded into the convolutions before it, as torch tensors.

The writers of files fold in float64 (`graph.weights`); here it is float32, for scoring: logits
differ from those of the unfolded network by rounding alone, about 1e-6 of the largest.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace
from torch import Tensor

from gnv2_nas.graph import Graph, Op
from gnv2_nas.graph.weights import BATCH_NORM_EPSILON


def folded(
    graph: Graph, tensors: Mapping[str, Tensor], statistics: Mapping[str, Tensor]
) -> tuple[Graph, dict[str, Tensor]]:
    """The same network without batch norm: its graph and its weights.

    Args:
        graph: the network.
        tensors: its weights, with the keys of the state dict.
        statistics: running mean and variance of every batch norm.
    """
    weights = dict(tensors)
    for op in graph.ops:
        if op.norm:
            _fold(op, weights, statistics)
    ops = (replace(op, norm="", bias=True) if op.norm else op for op in graph.ops)
    return Graph(tuple(ops)), weights


def _fold(op: Op, weights: dict[str, Tensor], statistics: Mapping[str, Tensor]) -> None:
    mean, variance = statistics[f"{op.norm}.running_mean"], statistics[f"{op.norm}.running_var"]
    scale = weights[f"{op.norm}.weight"] * (variance + BATCH_NORM_EPSILON).rsqrt()
    key = f"{op.weight}.weight"
    weights[key] = weights[key] * scale.view(-1, 1, 1, 1)
    weights[f"{op.weight}.bias"] = weights[f"{op.norm}.bias"] - mean * scale

"""Batch norm statistics of a sub-network, computed before every evaluation.

A supernet keeps no running statistics, because those of one sub-network are wrong for all others.
They are the plain average over batches of training images, like torch's with `momentum=None`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import InputError
from gnv2_nas.graph import Graph
from gnv2_nas.nn.interpreter import cached_lower, run_graph


def recalibrate(
    arch: Architecture, tensors: Mapping[str, Tensor], batches: Iterable[Tensor]
) -> dict[str, Tensor]:
    """Running mean and variance of every batch norm of `arch`.

    Args:
        arch: the network.
        tensors: its weights, with the keys of its module's state dict.
        batches: training images (N, 3, resolution, resolution), preprocessed as for evaluation.
            All batches have the same weight. A batch of one image has no variance and is skipped.

    Raises:
        InputError: there is no batch of two or more images.
    """
    graph = cached_lower(arch)
    statistics = _initial_statistics(graph, tensors)
    graph = _truncate(graph)
    count = 0
    with torch.inference_mode():
        for images in batches:
            if len(images) < 2:
                continue
            count += 1
            run_graph(graph, tensors, images, statistics=statistics, momentum=1 / count)
    if not count:
        raise InputError("recalibration needs a batch of at least 2 images, but got none")
    return statistics


def _initial_statistics(graph: Graph, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    statistics: dict[str, Tensor] = {}
    for op in graph.ops:
        if op.norm:
            weight = tensors[f"{op.norm}.weight"].detach()
            statistics[f"{op.norm}.running_mean"] = torch.zeros_like(weight)
            statistics[f"{op.norm}.running_var"] = torch.ones_like(weight)
    return statistics


def _truncate(graph: Graph) -> Graph:
    """`graph` up to its last batch norm."""
    last = max(number for number, op in enumerate(graph.ops) if op.norm)
    return Graph(graph.ops[: last + 1])

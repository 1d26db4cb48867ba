"""Random weights and subgraphs, for the data-free scores."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from msgspec.structs import replace
from torch import Tensor

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Graph, Op

RECTIFIERS = ("relu", "hard_swish")
"""Kinds of ops whose outputs make an activation pattern."""


def halve_resolution(arch: Architecture) -> Architecture:
    """Return the network at half of its resolution, for scores that take several images more.

    Networks of all resolutions are halved, so that a network of more pixels still has more outputs.
    """
    return arch.replace(resolution=max(1, arch.resolution // 2))


def random_tensors(graph: Graph, generator: torch.Generator) -> dict[str, Tensor]:
    """Make an initial state dict without running statistics.

    Weights are Gaussian, biases 0, and the scales of batch norms 1.
    """
    tensors: dict[str, Tensor] = {}
    for op in graph.ops:
        if not op.weight:
            continue
        shape = op.kernel_shape
        kernel = torch.randn(shape, generator=generator) * weight_deviation(op)
        tensors[f"{op.weight}.weight"] = kernel
        if op.bias:
            tensors[f"{op.weight}.bias"] = torch.zeros(shape[0])
        for norm in op.norms:
            tensors[f"{norm}.weight"] = torch.ones(shape[0])
            tensors[f"{norm}.bias"] = torch.zeros(shape[0])
    return tensors


def weight_deviation(op: Op) -> float:
    """Standard deviation √(2 / fan-in) (He et al., ICCV 2015, eq. 10)."""
    return math.sqrt(2 / math.prod(op.kernel_shape[1:]))


def find_last_map(graph: Graph) -> int:
    """Find the number of the op whose output is the last feature map."""
    return next(op for op in graph.ops if op.kind == "global_pool" and op.role == "head").inputs[0]


def extract_subgraph(
    graph: Graph,
    first: int,
    last: int,
    bypassed: Callable[[Op], bool] = lambda _: False,
) -> Graph:
    """Extract the ops between the map `first`, which becomes the input, and the map `last`.

    Bypassed ops are replaced by their first input, and ops that only they read are left out.
    """

    def resolve(number: int) -> int:
        op = graph.ops[number]
        return resolve(op.inputs[0]) if number != first and bypassed(op) else number

    inputs: dict[int, list[int]] = {first: []}
    stack = [resolve(last)]
    while stack:
        number = stack.pop()
        if number not in inputs:
            inputs[number] = [resolve(source) for source in graph.ops[number].inputs]
            stack += inputs[number]
    places = {number: place for place, number in enumerate(sorted(inputs))}
    start = Op("input", "input", (), graph.ops[first].shape)
    rest = (
        replace(graph.ops[number], inputs=tuple(places[source] for source in inputs[number]))
        for number in sorted(inputs)
        if number != first
    )
    return Graph((start, *rest))

"""Two scores of a random network: NASWOT (activation patterns) and SynFlow (synaptic flow)."""

from __future__ import annotations

import math

import torch
from msgspec.structs import replace
from torch import Tensor

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Graph, Op, lower
from gnv2_nas.nn.interpreter import run_graph, torch_threads
from gnv2_nas.quality.base import ESTIMATORS
from gnv2_nas.quality.proxies.random_network import (
    RECTIFIERS,
    extract_subgraph,
    random_tensors,
    weight_deviation,
)


class NaswotScore:
    """log |K_H| of the network at its own resolution.

    Args:
        images: number of images; they are also the batch of the batch norms.
        seed: seed of images and weights.
    """

    info = ESTIMATORS["naswot"]

    def __init__(self, images: int = 8, seed: int = 0) -> None:
        self.images = images
        self.seed = seed

    @torch.inference_mode()
    def score(self, arch: Architecture) -> float:
        """Compute the score; scores with other numbers of images are not comparable."""
        graph = lower(arch)
        generator = torch.Generator().manual_seed(self.seed)
        images = torch.randn(self.images, *graph.ops[0].shape, generator=generator)
        # One extra rectifier per image keeps the determinant above 0 for tiny networks that
        # cannot distinguish two images; other networks hardly change.
        kernel = torch.eye(self.images, dtype=torch.float64)

        def add_agreements(op: Op, output: Tensor) -> None:
            if op.kind in RECTIFIERS:
                kernel.add_(_agreements(output))

        with torch_threads(1):
            run_graph(graph, random_tensors(graph, generator), images, observe=add_agreements)
            return float(2 * torch.linalg.cholesky(kernel).diagonal().log().sum())


def _agreements(output: Tensor) -> Tensor:
    """Count for each pair of images the rectifiers with equal states; (N, N)."""
    signs = torch.where(output.flatten(1) > 0, 1.0, -1.0)
    return (signs.shape[1] + (signs @ signs.T).double()) / 2


class SynFlowScore:
    """Logarithm of the mean synaptic flow through the network at its own resolution."""

    info = ESTIMATORS["synflow"]

    def score(self, arch: Architecture) -> float:
        """Compute the natural logarithm of the flow of convolutions and linear layers."""
        graph = _without_gates_and_norms(lower(arch))
        tensors = _mean_tensors(graph)
        weights = [tensor for key, tensor in tensors.items() if key.endswith(".weight")]
        images = torch.ones(1, *graph.ops[0].shape, dtype=torch.float64)
        with torch_threads(1), torch.enable_grad():
            gradients = torch.autograd.grad(run_graph(graph, tensors, images).sum(), weights)
        pairs = zip(weights, gradients, strict=True)
        return math.log(math.fsum((weight * gradient).sum().item() for weight, gradient in pairs))


def _without_gates_and_norms(graph: Graph) -> Graph:
    ungated = extract_subgraph(graph, 0, len(graph.ops) - 1, _is_gate)
    return Graph(tuple(replace(op, norm="", branch="") for op in ungated.ops))


def _is_gate(op: Op) -> bool:
    return op.kind == "mul"


def _mean_tensors(graph: Graph) -> dict[str, Tensor]:
    """Set every weight to its mean absolute value, and biases to 0.

    In float64, because in float32 the product of fifty layers overflows.
    """
    tensors: dict[str, Tensor] = {}
    for op in graph.ops:
        if op.weight:
            mean = weight_deviation(op) * math.sqrt(2 / math.pi)
            weight = torch.full(op.kernel_shape, mean, dtype=torch.float64)
            tensors[f"{op.weight}.weight"] = weight.requires_grad_()
        if op.bias:
            tensors[f"{op.weight}.bias"] = torch.zeros(op.shape[0], dtype=torch.float64)
    return tensors

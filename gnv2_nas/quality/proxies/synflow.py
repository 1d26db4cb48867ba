"""SynFlow: the total synaptic flow through a network, without data or training.

Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow"
(NeurIPS 2020), eq. 4: Σ |θ ⊙ ∂R/∂θ| with R the sum of the logits, every weight replaced by its
absolute value and an input of ones. Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS"
(ICLR 2021) score whole networks by it.

With positive numbers, a ReLU network computes sums over paths, and each path contains a weight at
most once. The expected flow over random weights is therefore that of a network in which every
weight is its mean, so one pass is exact. The score is the logarithm of the flow.

Batch norm is left out, as in the code of the zero-cost proxies, because it would normalise the
flow away. Gates of DFC attention and squeeze-and-excitation are left out, too: with positive
numbers every sigmoid is saturated, so a gate is 1 and its branch has no gradient. The score
ignores attention.
"""

from __future__ import annotations

import math

import torch
from msgspec.structs import replace
from torch import Tensor

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Graph, Op, lower
from gnv2_nas.nn.interpreter import run_graph
from gnv2_nas.nn.threads import torch_threads
from gnv2_nas.quality.base import ESTIMATORS
from gnv2_nas.quality.proxies.random_network import extract_subgraph, weight_deviation


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
    return Graph(tuple(replace(op, norm="") for op in ungated.ops))


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

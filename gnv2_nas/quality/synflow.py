"""SynFlow: how much signal a network's weights could carry, without data or training.

Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow"
(NeurIPS 2020), eq. 4: Σ |θ ⊙ ∂R/∂θ| with R the sum of the logits, every weight replaced by its
absolute value and an input of ones. Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS"
(ICLR 2021) score whole networks by it; here it is the sum's logarithm.

Batch norm is left out, as in the zero-cost proxies' code: it would undo what is measured. So are
gates, those of DFC attention and of squeeze-and-excitation: with nothing but positive numbers
every sigmoid is saturated, so a gate is 1 and its branch gets no gradient. The score is blind to
attention.
"""

from __future__ import annotations

import math

import torch
from msgspec.structs import replace

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Graph, Op, lower
from gnv2_nas.nn.interpreter import run_graph
from gnv2_nas.quality.catalogue import ESTIMATORS
from gnv2_nas.quality.random_network import one_thread, part_of, random_tensors


class SynFlowScore:
    """Logarithm of the synaptic flow through the network at its own resolution.

    Args:
        seed: of the weights; the same architecture always gets the same score.
    """

    info = ESTIMATORS["synflow"]

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def score(self, arch: Architecture) -> float:
        """Natural logarithm of the sum over all weights."""
        graph = _positive_part(lower(arch))
        generator = torch.Generator().manual_seed(self.seed)
        # In float32 the product of fifty layers overflows.
        tensors = {
            key: tensor.double().abs().requires_grad_()
            for key, tensor in random_tensors(graph, generator).items()
        }
        images = torch.ones(1, *graph.ops[0].shape, dtype=torch.float64)
        with one_thread(), torch.enable_grad():
            flow = run_graph(graph, tensors, images).sum()
            gradients = torch.autograd.grad(flow, list(tensors.values()))
        pairs = zip(tensors.values(), gradients, strict=True)
        return math.log(math.fsum((weight * gradient).sum().item() for weight, gradient in pairs))


def _positive_part(graph: Graph) -> Graph:
    """The network without gates and batch norms."""
    ungated = part_of(graph, 0, len(graph.ops) - 1, _is_gate)
    return Graph(tuple(replace(op, norm="") for op in ungated.ops))


def _is_gate(op: Op) -> bool:
    return op.kind == "mul"

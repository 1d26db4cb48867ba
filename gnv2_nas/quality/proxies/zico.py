"""ZiCo: how steady the gradients of a random network are from batch to batch.

Li et al., "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients" (ICLR 2023),
eq. 13: the sum over layers of log Σ_w E|∇_w L| / √Var|∇_w L|, over the weights w of a layer; mean
and variance are over batches. Convolutions and linear layers are layers, as in the authors' code.

The paper takes two batches of real images with their labels. Here images and labels are random, so
that no data are needed. A quotient of two batches is dominated by the weights whose gradients are
equal by chance, so there are four. A layer without any gradient counts as one of the quotient 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import lower
from gnv2_nas.nn.interpreter import run_graph, torch_threads
from gnv2_nas.quality.base import ESTIMATORS
from gnv2_nas.quality.proxies.random_network import halve_resolution, random_tensors


class ZicoScore:
    """ZiCo of the network at half of its resolution.

    Args:
        batches: number of batches of random images and labels.
        images: images of a batch.
        seed: seed of weights, images and labels.
    """

    info = ESTIMATORS["zico"]

    def __init__(self, batches: int = 4, images: int = 4, seed: int = 0) -> None:
        self.batches = batches
        self.images = images
        self.seed = seed

    def score(self, arch: Architecture) -> float:
        """Compute the score, a sum of natural logarithms over layers."""
        graph = lower(halve_resolution(arch))
        generator = torch.Generator().manual_seed(self.seed)
        tensors = random_tensors(graph, generator)
        layers = [op.weight for op in graph.ops if op.weight]
        weights = [tensors[f"{layer}.weight"].requires_grad_() for layer in layers]
        gradients: list[tuple[Tensor, ...]] = []
        with torch_threads(1), torch.enable_grad():
            for _ in range(self.batches):
                shape = (self.images, *graph.ops[0].shape)
                images = torch.randn(shape, generator=generator)
                # Gradients of depthwise convolutions are faster in this format.
                images = images.to(memory_format=torch.channels_last)
                labels = torch.randint(arch.num_classes, (self.images,), generator=generator)
                loss = F.cross_entropy(run_graph(graph, tensors, images), labels)
                gradients.append(torch.autograd.grad(loss, weights))
            return math.fsum(map(_log_steadiness, zip(*gradients, strict=True)))


def _log_steadiness(gradients: Sequence[Tensor]) -> float:
    """log of the sum over the weights of a layer of mean / deviation of |gradient|.

    Args:
        gradients: one for each batch, each of the weights' shape.
    """
    sizes = [gradient.abs() for gradient in gradients]
    mean = sum(sizes, torch.zeros(())) / len(sizes)
    # One difference after the other: torch.var over stacked tensors takes ten times as long.
    squares = (torch.square(size - mean) for size in sizes)
    deviation = (sum(squares, torch.zeros(())) / len(sizes)).sqrt()
    steady = torch.where(deviation > 0, mean / deviation, 0.0).sum(dtype=torch.float64).item()
    return math.log(steady) if steady > 0 else 0.0

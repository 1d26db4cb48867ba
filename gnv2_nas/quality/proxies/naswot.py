"""NASWOT: how well a random network distinguishes images, without data or training.

Mellor et al., "Neural Architecture Search without Training" (ICML 2021), eq. 2: log |K_H|, where
K_H[i, j] is the number of rectifiers that are both active or both inactive for images i and j.
Codes that differ more give a larger determinant.

All rectifiers count, also those of squeeze-and-excitation and of the head. A hard swish counts
like a ReLU, by the sign of its input. Sigmoid gates count only through later rectifiers. The
images are Gaussian noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Op, lower
from gnv2_nas.nn.interpreter import run_graph
from gnv2_nas.nn.threads import torch_threads
from gnv2_nas.quality.base import ESTIMATORS
from gnv2_nas.quality.proxies.random_network import random_tensors

_RECTIFIERS = ("relu", "hard_swish")


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
            if op.kind in _RECTIFIERS:
                kernel.add_(_agreements(output))

        with torch_threads(1):
            run_graph(graph, random_tensors(graph, generator), images, observe=add_agreements)
            return float(2 * torch.linalg.cholesky(kernel).diagonal().log().sum())


def _agreements(output: Tensor) -> Tensor:
    """Count for each pair of images the rectifiers with equal states; (N, N)."""
    signs = torch.where(output.flatten(1) > 0, 1.0, -1.0)
    return (signs.shape[1] + (signs @ signs.T).double()) / 2

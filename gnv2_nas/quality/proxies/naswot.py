"""NASWOT: how well a random network tells images apart, without data or training.

Mellor et al., "Neural Architecture Search without Training" (ICML 2021), eq. 2: log |K_H|, where
K_H[i, j] is the number of rectifiers on which images i and j agree: both let through, or both
shut. Codes that differ more give a larger determinant.

Every rectifier of the network counts, those of squeeze-and-excitation and of the head too. A hard
swish counts like a ReLU, by the sign of its input. Gates, sigmoid or hard sigmoid, are not
rectifiers and count by what they do to those behind them. The images are Gaussian noise.
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
        images: in the batch that is told apart; also what the batch norms see.
        seed: of images and weights; the same architecture always gets the same score.
    """

    info = ESTIMATORS["naswot"]

    def __init__(self, images: int = 8, seed: int = 0) -> None:
        self.images = images
        self.seed = seed

    @torch.inference_mode()
    def score(self, arch: Architecture) -> float:
        """Natural logarithm; scores of other numbers of images do not compare."""
        graph = lower(arch)
        generator = torch.Generator().manual_seed(self.seed)
        images = torch.randn(self.images, *graph.ops[0].shape, generator=generator)
        # As if each image had one rectifier of its own. Without it the images that a network of
        # a few channels cannot tell apart would make the determinant 0; others hardly notice.
        kernel = torch.eye(self.images, dtype=torch.float64)

        def add_agreements(op: Op, output: Tensor) -> None:
            if op.kind in _RECTIFIERS:
                kernel.add_(_agreements(output))

        with torch_threads(1):
            run_graph(graph, random_tensors(graph, generator), images, observe=add_agreements)
            return float(2 * torch.linalg.cholesky(kernel).diagonal().log().sum())


def _agreements(output: Tensor) -> Tensor:
    """Of each pair of images, the rectifiers that both open or both shut; (N, N)."""
    signs = torch.where(output.flatten(1) > 0, 1.0, -1.0)
    return (signs.shape[1] + (signs @ signs.T).double()) / 2

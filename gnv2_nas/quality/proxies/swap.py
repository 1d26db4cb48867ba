"""SWAP-Score: how many different reactions to a batch of images the rectifiers of a network have.

Peng et al., "SWAP-NAS: Sample-Wise Activation Patterns for Ultra-fast NAS" (ICLR 2024), definitions
3.2 and 3.3. The pattern of one rectifier output is the set of images for which it is above 0; the
score is the number of distinct patterns of the whole network. It grows with the number of outputs,
but outputs that react alike count once.

The paper counts with few images of 32 pixels. A network of 224 pixels has millions of outputs, and
with few images every pattern would occur: eight images have 256. Here there are 32 images, at half
of the network's resolution, and the score is the logarithm.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import Op, lower
from gnv2_nas.nn.interpreter import run_graph, torch_threads
from gnv2_nas.quality.base import ESTIMATORS
from gnv2_nas.quality.proxies.random_network import (
    RECTIFIERS,
    halve_resolution,
    random_tensors,
)


class SwapScore:
    """Logarithm of the number of distinct sample-wise activation patterns.

    Args:
        images: number of images, 52 at most.
        seed: seed of images and weights.
    """

    info = ESTIMATORS["swap"]

    def __init__(self, images: int = 32, seed: int = 0) -> None:
        self.images = images
        self.seed = seed

    @torch.inference_mode()
    def score(self, arch: Architecture) -> float:
        """Compute the score; scores with other numbers of images are not comparable."""
        graph = lower(halve_resolution(arch))
        generator = torch.Generator().manual_seed(self.seed)
        images = torch.randn(self.images, *graph.ops[0].shape, generator=generator)
        patterns: list[NDArray[np.float64]] = []

        def add_patterns(op: Op, output: Tensor) -> None:
            if op.kind in RECTIFIERS:
                patterns.append(np.unique(_number_patterns(output).numpy()))

        with torch_threads(1):
            run_graph(graph, random_tensors(graph, generator), images, observe=add_patterns)
            return math.log(len(np.unique(np.concatenate(patterns))))


def _number_patterns(output: Tensor) -> Tensor:
    """Number the pattern of each rectifier output: bit n is set where image n is above 0.

    Args:
        output: (N, C, H, W).

    Returns:
        float64, exact because a float64 has 53 bits; (C * H * W,).
    """
    bits = 2.0 ** torch.arange(len(output), dtype=torch.float64)
    return bits @ (output.flatten(1) > 0).double()

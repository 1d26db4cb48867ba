"""The four proxies of AZ-NAS, from one batch through one random network.

Lee & Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search" (CVPR 2024),
with the blocks of the architecture, and its stem, as the paper's primary blocks.

AZ-NAS: four scores of a random network, put together by their ranks, without training.

Lee & Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search" (CVPR 2024):
expressivity, progressivity, trainability and complexity, assembled as Σ log(rank / m).

The paper ranks the networks of one search against each other, so a score would change with every
network that is added. Here a network is ranked against a fixed population of the search space,
and the rank is smooth: a network beyond the whole population still gains by being better.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import Architecture, block_keys
from gnv2_nas.graph import Graph, count, lower
from gnv2_nas.nn.interpreter import run_graph
from gnv2_nas.nn.threads import torch_threads
from gnv2_nas.quality.base import ESTIMATORS
from gnv2_nas.quality.proxies.random_network import extract_subgraph, random_tensors
from gnv2_nas.space import SearchSpace, load_space


class Proxies(NamedTuple):
    """The four scores of one network; higher is better."""

    expressivity: float
    """Sum over blocks of the entropy of their outputs' principal components, in nats."""
    progressivity: float
    """The smallest gain in entropy from one block to the next."""
    trainability: float
    """Mean over blocks of 2 - σ - 1/σ, σ the spectral norm of the block's Jacobian."""
    complexity: float
    """Multiply-adds."""


def measure_proxies(arch: Architecture, resolution: int, images: int, seed: int) -> Proxies:
    """The proxies of `arch`, all but the complexity at a resolution that may be another.

    Args:
        arch: the network.
        resolution: of the random images, pixels.
        images: in the batch.
        seed: of weights, images and signs.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch_threads(1):
        entropies, norms = _blocks(arch.replace(resolution=resolution), images, generator)
    gains = [after - before for before, after in pairwise(entropies)]
    gaps = [2 - norm - 1 / (norm + 1e-6) for norm in norms]
    return Proxies(sum(entropies), min(gains), sum(gaps) / len(gaps), count(arch).macs)


def _blocks(
    arch: Architecture, images: int, generator: torch.Generator
) -> tuple[list[float], list[float]]:
    """The entropy of the stem's and of every block's output, and every block's spectral norm."""
    graph = lower(arch)
    tensors = random_tensors(graph, generator)
    stem, *ends = _block_ends(arch, graph)
    values = torch.randn(images, *graph.ops[0].shape, generator=generator)
    with torch.no_grad():
        values = run_graph(extract_subgraph(graph, 0, stem), tensors, values)
    entropies, norms = [_entropy(values)], []
    for start, end in pairwise((stem, *ends)):
        source = values.requires_grad_()
        with torch.enable_grad():
            output = run_graph(extract_subgraph(graph, start, end), tensors, source)
        values = output.detach()
        entropies.append(_entropy(values))
        norms.append(_spectral_norm(source, output, generator))
    return entropies, norms


def _block_ends(arch: Architecture, graph: Graph) -> list[int]:
    """Numbers of the ops that give the output of the stem and of each block."""
    numbers = {op.name: number for number, op in enumerate(graph.ops)}
    *keys, _ = block_keys(arch)
    return [
        max(number for number, op in enumerate(graph.ops) if op.role == "stem"),
        *(max(n for name, n in numbers.items() if name.startswith(f"{key}.")) for key in keys),
    ]


def _entropy(values: Tensor) -> float:
    """Of the shares of variance of the principal components of (N, C, H, W) values, each
    position a sample."""
    samples = values.movedim(1, -1).flatten(0, -2).double()
    samples = samples - samples.mean(dim=0)
    if samples.shape[0] < samples.shape[1]:
        samples = samples.T  # the same variances, from a smaller matrix
    variances = torch.linalg.eigvalsh(samples.T @ samples).clamp_min(0)
    shares = variances / variances.sum().clamp_min(1e-300)
    return float(-(shares * (shares + 1e-8).log()).sum())


def _spectral_norm(source: Tensor, output: Tensor, generator: torch.Generator) -> float:
    """Of a block's Jacobian, taken as one matrix for all positions: A ≈ mean of Jᵀg gᵀ over
    random signs g, whose covariance is the identity."""
    signs = torch.randint(0, 2, output.shape, generator=generator).to(output.dtype) * 2 - 1
    (gradient,) = torch.autograd.grad(output, source, signs)
    step = -(-gradient.shape[2] // signs.shape[2])
    height, width = (step * side for side in signs.shape[2:])
    # Where the block strides, all pixels that share an output pixel are its channels.
    padding = (0, width - gradient.shape[3], 0, height - gradient.shape[2])
    unshuffled = F.pixel_unshuffle(F.pad(gradient, padding), step)
    rows = unshuffled.movedim(1, -1).flatten(0, -2)
    columns = signs.movedim(1, -1).flatten(0, -2)
    return float(torch.linalg.matrix_norm(rows.T @ columns / len(rows), 2))


_SPACE = "ghostnetv2"
"""Whose networks to rank against when no space is given."""
REFERENCE_NETWORKS = 32


class AzNasScore:
    """Place among random networks of a space, which are scored before the first score.

    Args:
        space: whose networks to rank against; the built-in ghostnetv2 when there is none.
        images: random ones in a batch.
        seed: of weights, images and signs; the same architecture always gets the same score.
    """

    info = ESTIMATORS["az-nas"]

    def __init__(self, space: SearchSpace | None = None, images: int = 8, seed: int = 0) -> None:
        self.space = load_space(_SPACE) if space is None else space
        self.images = images
        self.seed = seed

    def score(self, arch: Architecture) -> float:
        """Σ log(rank / m) of the four proxies: 0 at best."""
        # At the smallest resolution of the space, because time grows with its square.
        resolution = min(self.space.resolutions)
        proxies = measure_proxies(arch, resolution, self.images, self.seed)
        others = zip(*_population(self.space, resolution, self.images, self.seed), strict=True)
        return sum(math.log(smooth_rank(*pair)) for pair in zip(proxies, others, strict=True))


@lru_cache(maxsize=8)
def _population(space: SearchSpace, resolution: int, images: int, seed: int) -> list[Proxies]:
    # Not of `seed`: another draw of weights is no other measure.
    rng = random.Random(0)
    networks = [space.sample(rng) for _ in range(REFERENCE_NETWORKS)]
    return [measure_proxies(arch, resolution, images, seed) for arch in networks]


def smooth_rank(value: float, population: Sequence[float]) -> float:
    """rank / m of `value` among `population` and itself, the steps of the rank rounded.

    Each member counts by the logistic function of its distance, with Silverman's bandwidth:
    networks between two members differ, and so do those beyond all of them.
    """
    low, _, high = statistics.quantiles(population, n=4)
    # Of a normal distribution the quartiles are 1.35 standard deviations apart; the standard
    # deviation itself would be that of one dead network.
    bandwidth = 0.58 * (high - low) / 1.35 * len(population) ** -0.2 or 1.0
    below = sum(0.5 + 0.5 * math.tanh((value - one) / (2 * bandwidth)) for one in population)
    return (1 + below) / (1 + len(population))

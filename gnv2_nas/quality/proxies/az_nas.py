"""AZ-NAS: four proxies of a random network, combined by their ranks, without training.

Lee & Ham, "AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search" (CVPR 2024):
expressivity, progressivity, trainability and complexity, combined as Σ log(rank / m). The paper's
primary blocks are the stem and the blocks of the architecture.

The paper ranks the networks of one search against each other, so every new network changes all
scores. Here a network is ranked against a fixed population of the search space, and the rank is
smooth, so that networks beyond the whole population still differ.
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
from gnv2_nas.nn.interpreter import run_graph, torch_threads
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
    """Compute the proxies of `arch` from one batch through one random network.

    Args:
        resolution: width of the random images, pixels; the complexity is that at the
            architecture's own resolution.
        images: batch size.
        seed: seed of weights, images and signs.
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
    """Entropies of the outputs of stem and blocks, and spectral norms of the blocks."""
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
    """Numbers of the ops with the outputs of the stem and of each block."""
    numbers = {op.name: number for number, op in enumerate(graph.ops)}
    *keys, _ = block_keys(arch)
    return [
        max(number for number, op in enumerate(graph.ops) if op.role == "stem"),
        *(max(n for name, n in numbers.items() if name.startswith(f"{key}.")) for key in keys),
    ]


def _entropy(values: Tensor) -> float:
    """Entropy of the principal components' shares of variance; values are (N, C, H, W).

    Each position is a sample.
    """
    samples = values.movedim(1, -1).flatten(0, -2).double()
    samples = samples - samples.mean(dim=0)
    if samples.shape[0] < samples.shape[1]:
        samples = samples.T  # the same variances, from a smaller matrix
    variances = torch.linalg.eigvalsh(samples.T @ samples).clamp_min(0)
    shares = variances / variances.sum().clamp_min(1e-300)
    return float(-(shares * (shares + 1e-8).log()).sum())


def _spectral_norm(source: Tensor, output: Tensor, generator: torch.Generator) -> float:
    """Spectral norm of a block's Jacobian, taken as one matrix for all positions.

    The matrix is the mean of Jᵀg gᵀ over random signs g, whose covariance is the identity.
    """
    signs = torch.randint(0, 2, output.shape, generator=generator).to(output.dtype) * 2 - 1
    (gradient,) = torch.autograd.grad(output, source, signs)
    step = -(-gradient.shape[2] // signs.shape[2])
    height, width = (step * side for side in signs.shape[2:])
    # If the block strides, the pixels of one output pixel become channels.
    padding = (0, width - gradient.shape[3], 0, height - gradient.shape[2])
    unshuffled = F.pixel_unshuffle(F.pad(gradient, padding), step)
    rows = unshuffled.movedim(1, -1).flatten(0, -2)
    columns = signs.movedim(1, -1).flatten(0, -2)
    return float(torch.linalg.matrix_norm(rows.T @ columns / len(rows), 2))


_SPACE = "ghostnetv2"
"""Space of the population when none is given."""
REFERENCE_NETWORKS = 32


class AzNasScore:
    """Rank among random networks of a space, which the first call scores.

    Args:
        space: space of the population; None means the built-in ghostnetv2.
        images: batch size.
        seed: seed of weights, images and signs.
    """

    info = ESTIMATORS["az-nas"]

    def __init__(self, space: SearchSpace | None = None, images: int = 8, seed: int = 0) -> None:
        self.space = load_space(_SPACE) if space is None else space
        self.images = images
        self.seed = seed

    def score(self, arch: Architecture) -> float:
        """Compute Σ log(rank / m) of the four proxies; the maximum is 0."""
        # The smallest resolution, because time grows with its square.
        resolution = min(self.space.resolutions)
        proxies = measure_proxies(arch, resolution, self.images, self.seed)
        others = zip(*_population(self.space, resolution, self.images, self.seed), strict=True)
        return sum(math.log(smooth_rank(*pair)) for pair in zip(proxies, others, strict=True))


@lru_cache(maxsize=8)
def _population(space: SearchSpace, resolution: int, images: int, seed: int) -> list[Proxies]:
    # Independent of `seed`, so that another draw of weights is comparable.
    rng = random.Random(0)
    networks = [space.sample(rng) for _ in range(REFERENCE_NETWORKS)]
    return [measure_proxies(arch, resolution, images, seed) for arch in networks]


def smooth_rank(value: float, population: Sequence[float]) -> float:
    """Compute rank / m of `value` among `population` and itself, with smoothed steps.

    Each member counts by the logistic function of its distance, with Silverman's bandwidth.
    """
    low, _, high = statistics.quantiles(population, n=4)
    # The quartiles of a normal distribution are 1.35 standard deviations apart. The standard
    # deviation itself could be dominated by one outlier.
    bandwidth = 0.58 * (high - low) / 1.35 * len(population) ** -0.2 or 1.0
    below = sum(0.5 + 0.5 * math.tanh((value - one) / (2 * bandwidth)) for one in population)
    return (1 + below) / (1 + len(population))

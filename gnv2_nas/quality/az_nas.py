"""AZ-NAS: four scores of a random network, put together by their ranks, without training.

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

from gnv2_nas.arch import Architecture
from gnv2_nas.quality.az_nas_proxies import Proxies, measure_proxies
from gnv2_nas.quality.catalogue import ESTIMATORS
from gnv2_nas.space import SearchSpace, load_space

_SPACE = "ghostnetv2"
"""Whose networks to rank against when no space is given."""
_REFERENCES = 32


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
    networks = [space.sample(rng) for _ in range(_REFERENCES)]
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

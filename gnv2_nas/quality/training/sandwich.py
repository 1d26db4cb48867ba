"""Which networks of a space a supernet trains in each step."""

from __future__ import annotations

import random

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import count
from gnv2_nas.quality.training.randomness import seed_of
from gnv2_nas.quality.training.recipe import Recipe
from gnv2_nas.space import SearchSpace

_CANDIDATES = 8
"""Random networks of which the one nearest to the wanted multiply-adds is taken."""


class Sandwich:
    """The sandwich rule (Yu and Huang 2019): the largest network, random ones, the smallest.

    One resolution is drawn for each step and shared by its networks, largest and smallest
    included: the largest network at the largest resolution in every step would cost most of the
    time, and networks of one step can learn from each other only on the same images. All
    resolutions are as likely, though some take longer: one that is trained less is ranked too low.

    Everything is a function of seed and step, the same in every process.
    """

    def __init__(self, space: SearchSpace, recipe: Recipe, seed: int) -> None:
        self._space = space
        self._recipe = recipe
        self._seed = seed

    def resolution(self, step: int) -> int:
        """Pixels of the images of that step."""
        return self._random("resolution", step).choice(self._space.resolutions)

    def networks(self, step: int) -> list[Architecture]:
        """The networks of that step, the largest first."""
        resolution = self.resolution(step)
        rng = self._random("networks", step)
        largest, smallest = extremes(self._space, resolution)
        between = [
            self._between(rng, smallest, largest) for _ in range(self._recipe.random_networks)
        ]
        return [largest, *between, smallest]

    def _between(
        self, rng: random.Random, smallest: Architecture, largest: Architecture
    ) -> Architecture:
        if self._recipe.sampling == "genes":
            return self._sampled(rng, largest.resolution)
        wanted = rng.uniform(count(smallest).macs, count(largest).macs)
        candidates = [self._sampled(rng, largest.resolution) for _ in range(_CANDIDATES)]
        return min(candidates, key=lambda arch: abs(count(arch).macs - wanted))

    def _sampled(self, rng: random.Random, resolution: int) -> Architecture:
        params = self._space.sample_params(rng)
        return self._space.decode(self._space.at_resolution(params, resolution))

    def _random(self, purpose: str, step: int) -> random.Random:
        return random.Random(seed_of(self._seed, purpose, step))


def extremes(space: SearchSpace, resolution: int) -> tuple[Architecture, Architecture]:
    """The largest and the smallest network of a space at a resolution."""
    largest, smallest = (
        space.decode(space.at_resolution(params, resolution))
        for params in (space.largest(), space.smallest())
    )
    return largest, smallest

"""The random parts of a made-up accuracy: what blocks bring, and how pairs of blocks interact."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.landscapes.landscape import Params
from benchmarks.landscapes.mobile_macs import BLOCKS, STAGES

LATER_BLOCKS = 0.75
"""Each block brings so much of what the one before it brings, on average."""
INTERACTION_SIZE = 0.05
"""Standard deviation of an interaction, in units of one stage's part of the accuracy."""


class BlockGain(NamedTuple):
    """What one block brings to its stage."""

    importance: float
    kernels: Mapping[int, float]
    """Kernel → what it brings beside the expansion; the largest is not always the best."""


class Interaction(NamedTuple):
    """Two blocks that help or hinder each other where both are there."""

    first: tuple[int, int]
    """Stage and block whose expansion counts."""
    second: tuple[int, int]
    """Stage and block whose kernel counts."""
    size: float

    def effect(self, params: Params) -> float:
        if not all(block < params[f"depth.{stage}"] for stage, block in (self.first, self.second)):
            return 0.0
        expansion = params["expansion.{}.{}".format(*self.first)] - 4
        kernel = params["kernel.{}.{}".format(*self.second)] / 2 - 2.5
        return float(self.size * expansion * kernel)


def draw_block(rng: random.Random, place: int) -> BlockGain:
    """The gain of the block at this place of its stage, 0 for the first."""
    importance = LATER_BLOCKS**place * rng.uniform(0.5, 1.5)
    five = rng.uniform(0.0, 0.4)
    return BlockGain(importance, {3: 0.0, 5: five, 7: five + rng.uniform(-0.25, 0.25)})


def draw_interaction(rng: random.Random) -> Interaction:
    places = [(stage, block) for stage in range(len(STAGES)) for block in range(BLOCKS)]
    first, second = rng.sample(places, 2)
    return Interaction(first, second, rng.gauss(0, INTERACTION_SIZE))

"""A landscape of MobileNetV3 kind: exact multiply-adds, and an accuracy that is made up.

The space is that of Cai et al., "Once-for-All" (ICLR 2020): five stages of two to four blocks, each
with kernel 3, 5 or 7 and expansion 3, 4 or 6, images of 128 to 224 pixels; 46 parameters. Genes of
blocks beyond a stage's depth change nothing.

The accuracy is nobody's measurement. Its formula has what real ones show and what makes a search
hard: diminishing returns in size, stages that matter unequally, kernels that suit one stage and not
another, a weakest stage that holds back the others, pairs of blocks that help or hinder each other,
plateaus, and noise as of training again. All its coefficients are drawn from the instance's number:
ten seeds of the benchmark are ten landscapes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from benchmarks.landscapes.landscape import Params, Values
from benchmarks.landscapes.made_up import draw_block, draw_interaction
from benchmarks.landscapes.mobile_macs import BLOCKS, STAGES, map_side, multiply_adds

if TYPE_CHECKING:
    from optuna.trial import Trial

DEPTHS, KERNELS, EXPANSIONS = (2, 3, 4), (3, 5, 7), (3, 4, 6)
RESOLUTIONS = (128, 224, 16)
"""Smallest, largest and step, pixels."""
SMALLEST_ACCURACY, LARGEST_ACCURACY = 68.0, 79.0
"""Per cent; every instance is scaled so that its smallest and largest network have these."""
NOISE = 0.15
"""Standard deviation of an accuracy, per cent."""
INTERACTIONS = 16


EXPANSION_GAIN = 0.6
"""What doubling a block's expansion brings, beside the block itself."""


class Mobile:
    """One instance of the landscape.

    Args:
        instance: draws all coefficients of the accuracy.
    """

    name = "mobile"
    directions: tuple[str, ...] = ("maximize", "minimize")
    reference: Values = (SMALLEST_ACCURACY - 1, 600.0)
    """Accuracy in per cent, multiply-adds in millions."""

    def __init__(self, instance: int = 0) -> None:
        rng = random.Random(f"mobile/{instance}")
        self._blocks = [[draw_block(rng, place) for place in range(BLOCKS)] for _ in STAGES]
        self._weights = [math.exp(rng.gauss(0, 0.5)) for _ in STAGES]
        self._saturations = [rng.uniform(1.0, 3.0) for _ in STAGES]
        self._resolution_weight = rng.uniform(3.0, 6.0)
        self._weakest_weight = rng.uniform(0.1, 0.5)
        self._interactions = [draw_interaction(rng) for _ in range(INTERACTIONS)]

    def suggest(self, trial: Trial) -> Params:
        low, high, step = RESOLUTIONS
        params: dict[str, object] = {}
        for stage in range(len(STAGES)):
            params[f"depth.{stage}"] = trial.suggest_categorical(f"depth.{stage}", DEPTHS)
            for block in range(BLOCKS):
                place = f"{stage}.{block}"
                params[f"kernel.{place}"] = trial.suggest_categorical(f"kernel.{place}", KERNELS)
                params[f"expansion.{place}"] = trial.suggest_categorical(
                    f"expansion.{place}", EXPANSIONS
                )
        params["resolution"] = trial.suggest_int("resolution", low, high, step=step)
        return params

    def true_values(self, params: Params) -> Values:
        """Accuracy in per cent and millions of multiply-adds."""
        low, high = self._range
        share = (self._merit(params) - low) / (high - low)
        accuracy = SMALLEST_ACCURACY + share * (LARGEST_ACCURACY - SMALLEST_ACCURACY)
        return accuracy, multiply_adds(params) / 1e6

    def evaluate(self, params: Params, rng: random.Random) -> Values:
        accuracy, macs = self.true_values(params)
        return accuracy + rng.gauss(0, NOISE), macs

    def constraints(self, params: Params) -> Mapping[str, float]:  # noqa: ARG002
        return {}

    @cached_property
    def _range(self) -> tuple[float, float]:
        """Merit of the smallest and of the largest network."""
        low, high, _ = RESOLUTIONS
        smallest = uniform_params(DEPTHS[0], KERNELS[0], EXPANSIONS[0], low)
        largest = uniform_params(DEPTHS[-1], KERNELS[-1], EXPANSIONS[-1], high)
        return self._merit(smallest), self._merit(largest)

    def _merit(self, params: Params) -> float:
        """What the accuracy is a linear function of."""
        filled = [self._filled(params, stage) for stage in range(len(STAGES))]
        merit = sum(weight * share for weight, share in zip(self._weights, filled, strict=True))
        merit += self._weakest_weight * len(STAGES) * min(filled)
        merit += self._resolution_weight * (1 - math.exp(-(params["resolution"] - 96) / 64))
        return merit + sum(each.effect(params) for each in self._interactions)

    def _filled(self, params: Params, stage: int) -> float:
        """How far a stage has come towards all it can bring, 0 to 1: diminishing returns."""
        size = 0.0
        for block in range(params[f"depth.{stage}"]):
            # A kernel wider than the map sees nothing more: a plateau at small images.
            largest = 5 if map_side(params["resolution"], stage) < 7 else 7
            kernel = min(params[f"kernel.{stage}.{block}"], largest)
            it = self._blocks[stage][block]
            expansion = EXPANSION_GAIN * math.log2(params[f"expansion.{stage}.{block}"] / 3)
            size += it.importance * (1 + expansion + it.kernels[kernel])
        return 1 - math.exp(-size / self._saturations[stage])


def uniform_params(depth: int, kernel: int, expansion: int, resolution: int) -> Params:
    """The network that is the same in every stage and block."""
    params = {"resolution": resolution}
    for stage in range(len(STAGES)):
        params[f"depth.{stage}"] = depth
        for block in range(BLOCKS):
            params |= {f"kernel.{stage}.{block}": kernel, f"expansion.{stage}.{block}": expansion}
    return params

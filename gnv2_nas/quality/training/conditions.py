"""What all parts of one training share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from gnv2_nas.quality.training.distributed import World
from gnv2_nas.quality.training.precision import MixedPrecision
from gnv2_nas.quality.training.randomness import seed_of, seeded
from gnv2_nas.quality.training.recipe import Recipe

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Conditions:
    """How and where a training runs."""

    recipe: Recipe
    seed: int
    device: torch.device
    world: World
    precision: MixedPrecision

    @classmethod
    def make(cls, recipe: Recipe, seed: int, device: torch.device, world: World) -> Conditions:
        """With the number format that the recipe asks for.

        Raises:
            InputError: the device has no such format.
        """
        return cls(recipe, seed, device, world, MixedPrecision(recipe, device))

    def placed(self, module: Module) -> Module:
        """`module` on the device, its kernels laid out as the recipe says; in place."""
        module.to(self.device)
        if self.recipe.channels_last:
            for weight in module.parameters():
                if weight.dim() == 4:
                    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        return module

    def seed_of(self, purpose: str, step: int) -> int:
        """Of random numbers that every process draws for itself."""
        return seed_of(self.seed, f"{purpose} of process {self.world.rank}", step)

    def seeded(self, purpose: str, step: int, part: int) -> AbstractContextManager[None]:
        """Torch's random numbers within the block follow from the arguments."""
        return seeded(self.seed_of(f"{purpose} {part}", step), self.device)

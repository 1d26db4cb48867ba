"""A training that takes a second: real digits, a network of three blocks."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule
from gnv2_nas.data import Dataset, load_dataset
from gnv2_nas.training import Recipe, TrainingResult, train_network

RESOLUTION = 16


@cache
def digits_at(side: int) -> Dataset:
    return load_dataset("digits", side)


def digits() -> Dataset:
    return digits_at(RESOLUTION)


def small_network(num_classes: int = 10, head_channels: int = 32) -> Architecture:
    attended = GhostModule(dfc=DFC(kernel_h=3, kernel_w=3))
    return Architecture(
        blocks=(
            GhostBlock(16, 8),
            GhostBlock(24, 16, stride=2, se_channels=4, ghost1=attended),
            GhostBlock(32, 16, ghost2=attended),
        ),
        stem_channels=8, conv_channels=48, head_channels=head_channels, num_classes=num_classes,
        resolution=RESOLUTION,
    )  # fmt: skip


def short_recipe(steps: int = 6, **changes: Any) -> Recipe:
    """By default too short to learn much, and everything that is random takes part."""
    recipe = Recipe(
        steps=steps, batch_size=32, learning_rate=0.1, warmup=0.1, ema_decay=0.9, evaluations=2
    )
    return recipe.replace(**changes)


def train(output: Path | None = None, **options: Any) -> TrainingResult[Any]:
    """`train_network` of the small network on digits, on the CPU."""
    recipe = options.pop("recipe", None) or short_recipe()
    options = {"device": "cpu", **options}
    return train_network(small_network(), digits(), recipe, output, **options)


def weights(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.state_dict())


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Equal to the last bit."""
    assert one.keys() == other.keys()
    return all(torch.equal(one[key], other[key]) for key in one)

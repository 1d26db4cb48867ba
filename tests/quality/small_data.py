"""A data set of a few digits and a space of narrow networks: trainings of a second."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from gnv2_nas.arch import Architecture
from gnv2_nas.data import Dataset, load_dataset
from gnv2_nas.quality import QualityContext
from gnv2_nas.space import SearchSpace
from gnv2_nas.training import Recipe, default_recipe, train_supernet
from tests.search.spaces import SMALL, space_of


@cache
def digits(train: int = 16, val: int = 32) -> Dataset:
    """The first digits of each split."""
    dataset = load_dataset("digits", 32)
    return replace(dataset, train=_first(dataset.train, train), val=_first(dataset.val, val))


def _first(split, images: int):
    few = slice(images)
    return replace(
        split, rows=split.rows[few], labels=split.labels[few], names=list(split.names)[few]
    )


@cache
def small_space() -> SearchSpace:
    """288 genotypes of about half a million multiply-adds, at 32 pixels."""
    with TemporaryDirectory() as folder:
        return space_of(Path(folder), SMALL)


def small_networks(networks: int = 2, seed: int = 0) -> list[Architecture]:
    rng = random.Random(seed)
    return [small_space().sample(rng) for _ in range(networks)]


def small_context(train: int = 16, val: int = 32) -> QualityContext:
    return QualityContext(space=small_space(), dataset=digits(train, val))


def quick_recipe(dataset: Dataset, steps: int = 30) -> Recipe:
    """Without what only pays in long trainings: the largest network gets most digits right."""
    recipe = default_recipe(dataset, supernet=True, steps=steps, batch_size=64)
    return recipe.replace(
        evaluations=1, random_networks=0, optimizer="adamw", learning_rate=8e-3,
        label_smoothing=0.0, augmentation=0.0, ema_decay=0.8,
    )  # fmt: skip


def small_supernet(path: Path) -> None:
    """Train a supernet of `small_space` for some seconds."""
    train_supernet(small_space(), digits(1000, 300), quick_recipe(digits(1000, 300)), path)

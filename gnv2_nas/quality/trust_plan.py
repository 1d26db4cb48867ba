"""What a trust check is going to train, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gnv2_nas.quality.accuracy_journal import AccuracyJournal
from gnv2_nas.quality.base import QualityContext
from gnv2_nas.quality.trust import accuracies_path, trust_path
from gnv2_nas.quality.trust_networks import Drawn
from gnv2_nas.space import SearchSpace
from gnv2_nas.training import Recipe

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset


@dataclass(frozen=True)
class TrustPlan:
    """The networks, their images and how they are trained."""

    space: SearchSpace
    """With as many classes as the data."""
    dataset: Dataset
    drawn: Drawn
    recipe: Recipe
    seeds: int

    def journal(self) -> AccuracyJournal:
        """Trainings under the conditions of this plan, beside the panel."""
        recipe = msgspec.json.encode((self.recipe, self.dataset.augmentation)).decode()
        path = accuracies_path(trust_path(self.space.name))
        return AccuracyJournal(path, self.dataset.content_hash, recipe)

    def finished(self) -> int:
        """Trainings of this plan that an earlier run has finished."""
        journal = self.journal()
        return sum(
            journal.find(network.architecture, seed) is not None
            for network in self.drawn.networks
            for seed in range(self.seeds)
        )

    def context(self) -> QualityContext:
        return QualityContext(space=self.space, dataset=self.dataset)

    def describe_training(self) -> str:
        """The recipe in words."""
        recipe, images = self.recipe, len(self.dataset.train)
        epochs = recipe.steps * recipe.batch_size / images
        return f"{recipe.steps} steps of {recipe.batch_size} images, {epochs:.3g} epochs"

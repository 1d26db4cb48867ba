"""What a network sees in each step: batches of a data set, augmented, on the device."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

import torch
from torch import Tensor

from gnv2_nas.data import Dataset, TrainingBatches, augmented
from gnv2_nas.data.augmentation import scaled
from gnv2_nas.quality.training.conditions import Conditions


class TrainingInputs:
    """Augmented images and labels; a function of seed and step alone.

    Args:
        resolution: step → pixels.

    Raises:
        DataError: fewer images than a batch, or a batch that the processes cannot share equally.
    """

    def __init__(
        self, dataset: Dataset, conditions: Conditions, resolution: Callable[[int], int]
    ) -> None:
        recipe, world = conditions.recipe, conditions.world
        self._batches = TrainingBatches(
            dataset.train, recipe.batch_size, conditions.seed, world.rank, world.size
        )
        self.steps_per_epoch = self._batches.steps_per_epoch
        self._augmentation = scaled(dataset.augmentation, recipe.augmentation)
        self._preprocessing = dataset.preprocessing
        self._conditions = conditions
        self._resolution = resolution

    def from_step(self, first: int) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Images (float32, B x 3 x R x R) and labels (int64, B) of that step and all after it, B
        being this process's part of the batch; without end."""
        device = self._conditions.device
        with closing(self._batches.from_step(first)) as batches:
            for step, (images, labels) in enumerate(batches, first):
                values = augmented(
                    images.to(device, non_blocking=True),
                    self._resolution(step),
                    self._preprocessing,
                    self._augmentation,
                    self._conditions.seed_of("augmentation", step),
                )
                if self._conditions.recipe.channels_last:
                    values = values.contiguous(memory_format=torch.channels_last)
                yield values, labels.to(device, non_blocking=True)

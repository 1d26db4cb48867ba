"""One update of the weights: augmented batches, micro-batches, clipped and averaged gradients."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing

import torch
from torch import Tensor

from gnv2_nas.data import Dataset, TrainingBatches, augment
from gnv2_nas.errors import TrainingError
from gnv2_nas.training.context import (
    MIN_MICRO_BATCH,
    TrainingContext,
    is_out_of_memory,
    release_memory,
)
from gnv2_nas.training.optimization import learning_rate, make_optimizer, set_learning_rate
from gnv2_nas.training.task import TrainingTask


class TrainingInputs:
    """Augmented images and labels, a function of seed and step alone.

    Args:
        resolution: step → pixels.

    Raises:
        DataError: fewer images than a batch, or a batch that the processes cannot share equally.
    """

    def __init__(
        self, dataset: Dataset, context: TrainingContext, resolution: Callable[[int], int]
    ) -> None:
        recipe, world = context.recipe, context.world
        self._batches = TrainingBatches(
            dataset.train, recipe.batch_size, context.seed, world.rank, world.size
        )
        self.steps_per_epoch = self._batches.steps_per_epoch
        self._augmentation = dataset.augmentation.scale(recipe.augmentation)
        self._preprocessing = dataset.preprocessing
        self._context = context
        self._resolution = resolution

    def from_step(self, first: int) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Yield the inputs of step `first` and of all later steps, without end.

        Images are float32 (B, 3, R, R) and labels int64 (B,), where B is this process's part of
        the batch.
        """
        device = self._context.device
        with closing(self._batches.from_step(first)) as batches:
            for step, (images, labels) in enumerate(batches, first):
                values = augment(
                    images.to(device, non_blocking=True),
                    self._resolution(step),
                    self._preprocessing,
                    self._augmentation,
                    self._context.derive_seed("augmentation", step),
                )
                if self._context.recipe.channels_last:
                    values = values.contiguous(memory_format=torch.channels_last)
                yield values, labels.to(device, non_blocking=True)


class Stepper:
    """Updates the weights of a task.

    Args:
        tell: called with a message when memory runs out.

    Attributes:
        accumulate: micro-batches in a batch; doubled when memory runs out.
    """

    def __init__(
        self, task: TrainingTask, context: TrainingContext, tell: Callable[[str], None]
    ) -> None:
        self.optimizer = make_optimizer(task.module, context.recipe)
        self.accumulate = context.recipe.accumulate
        self._task = task
        self._context = context
        self._tell = tell

    def gradients(self, step: int, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Compute the gradients of a batch; use smaller micro-batches when memory runs out.

        Returns:
            The loss, and the norm of the gradients before clipping (None with fp16); both on the
            device.

        Raises:
            TrainingError: memory does not suffice for the smallest micro-batch.
        """
        while True:
            try:
                loss = self._accumulate(step, images, labels)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler, because the exception keeps the feature maps alive.
            self._use_less_memory(images)
        self._context.world.average_gradients(self._task.module)
        return loss, self._context.precision.clip(self._task.module, self.optimizer)

    def update(self, step: int) -> None:
        """Update the weights by the gradients."""
        set_learning_rate(self.optimizer, learning_rate(self._context.recipe, step))
        self._context.precision.update(self.optimizer)

    def _accumulate(self, step: int, images: Tensor, labels: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self._context.device)
        pieces = zip(
            images.tensor_split(self.accumulate), labels.tensor_split(self.accumulate), strict=True
        )
        for part, (some_images, some_labels) in enumerate(pieces):
            with self._context.seed_torch("dropout", step, part):
                first = self._back_propagate(step, some_images, some_labels, len(images))
            loss += first * (len(some_images) / len(images))
        return loss

    def _back_propagate(self, step: int, images: Tensor, labels: Tensor, total: int) -> Tensor:
        """Add the gradients of one micro-batch; return its first loss."""
        first: Tensor | None = None
        for loss in self._task.losses(images, labels, step):
            self._context.precision.backward(loss * (len(images) / total))
            if first is None:
                first = loss.detach()
        assert first is not None  # noqa: S101
        return first

    def _use_less_memory(self, images: Tensor) -> None:
        """Halve the micro-batch; the batch of one update keeps its size."""
        self.optimizer.zero_grad(set_to_none=True)
        release_memory(self._context.device)
        batch, side = len(images), images.shape[-1]
        now = -(-batch // self.accumulate)
        problem = f"memory ran out with {now} images of {side}x{side} pixels at once"
        if self._context.world.size > 1:
            # The other processes already wait for this one's gradients.
            raise TrainingError(f"{problem}; ask for accumulate={2 * self.accumulate}")
        if batch // (2 * self.accumulate) < MIN_MICRO_BATCH:
            raise TrainingError(
                f"{problem}, and fewer images do not help; a lower resolution or a narrower "
                "network would fit"
            )
        self.accumulate *= 2
        self._tell(
            f"{problem}: continuing with {self.accumulate} micro-batches of "
            f"{-(-batch // self.accumulate)}, the batch stays at {batch}"
        )

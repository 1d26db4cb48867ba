"""One update of the weights, and whether the training is still sane and on time."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from contextlib import closing
from time import perf_counter

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
from gnv2_nas.training.recipe import Recipe
from gnv2_nas.training.task import TrainingTask


class StepTimer:
    """Times a training that may have had earlier runs.

    Args:
        earlier: duration of the earlier runs, seconds.
    """

    def __init__(self, earlier: float = 0.0) -> None:
        self._earlier = earlier
        self._start = perf_counter()
        self._steps = 0
        self._first_step_end = 0.0

    @property
    def seconds(self) -> float:
        """Duration of all runs together."""
        return self._earlier + perf_counter() - self._start

    def count_step(self) -> None:
        """Count a finished step. The first one is not timed, because it warms up."""
        if self._steps == 0:
            self._first_step_end = perf_counter()
        self._steps += 1

    def seconds_left(self, steps: int) -> float | None:
        """Estimate the duration of `steps` further steps; None before two are done."""
        if self._steps < 2:
            return None
        return steps * (perf_counter() - self._first_step_end) / (self._steps - 1)


MAX_PENDING_STEPS = 20
"""Steps on a GPU between two checks: reading a loss waits for all queued work."""

_SMOOTHING = 0.9


class LossMonitor:
    """Averages the losses of steps and refuses values that are not finite.

    Attributes:
        mean: exponential moving average of the loss over about ten steps; NaN before the first.
    """

    def __init__(self, recipe: Recipe, mean: float = math.nan) -> None:
        self.mean = mean
        self._recipe = recipe
        self._pending: list[tuple[int, Tensor, Tensor | None]] = []

    def add(self, step: int, loss: Tensor, norm: Tensor | None) -> None:
        """Add a step's loss and the norm of its gradients. On a CPU they are checked at once."""
        self._pending.append((step, loss, norm))
        on_cpu = loss.device.type == "cpu"
        if on_cpu or math.isnan(self.mean) or len(self._pending) >= MAX_PENDING_STEPS:
            self.check()

    def check(self) -> None:
        """Check all values that were added since the last check.

        Raises:
            TrainingError: a value is not finite; the message names the step.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return
        values = torch.stack([loss for _, loss, _ in pending]).tolist()
        norms = torch.stack([loss if norm is None else norm for _, loss, norm in pending]).tolist()
        for (step, _, _), value, norm in zip(pending, values, norms, strict=True):
            if not math.isfinite(value):
                raise self._error(f"the loss of step {step + 1} is {value}")
            if not math.isfinite(norm):
                raise self._error(f"the gradients of step {step + 1} are not finite")
            before = value if math.isnan(self.mean) else self.mean
            self.mean = _SMOOTHING * before + (1 - _SMOOTHING) * value

    def _error(self, what: str) -> TrainingError:
        recipe = self._recipe
        return TrainingError(
            f"{what}; try a lower learning rate (now {recipe.learning_rate:g}), gradient clipping "
            f"(clip_norm, now {recipe.clip_norm:g}) or precision fp32 (now {recipe.precision})"
        )


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

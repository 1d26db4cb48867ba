"""Time of a training, and a check of its losses."""

from __future__ import annotations

import math
from time import perf_counter

import torch
from torch import Tensor

from gnv2_nas.errors import TrainingError
from gnv2_nas.training.recipe import Recipe


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

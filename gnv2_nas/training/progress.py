"""How long a training takes, whether it is still sane, and Ctrl-C between two steps."""

from __future__ import annotations

import math
from time import perf_counter

import torch
from torch import Tensor

from gnv2_nas.errors import TrainingError
from gnv2_nas.training.recipe import Recipe


class StepTimer:
    """Time of a training that may have had earlier runs.

    Args:
        earlier: seconds of those.
    """

    def __init__(self, earlier: float = 0.0) -> None:
        self._earlier = earlier
        self._begun = perf_counter()
        self._counted = 0
        self._first_step_done = 0.0

    @property
    def seconds(self) -> float:
        """Of all runs together."""
        return self._earlier + perf_counter() - self._begun

    def step_done(self) -> None:
        """To be told after every step. The first one, which warms up, does not count."""
        if self._counted == 0:
            self._first_step_done = perf_counter()
        self._counted += 1

    def seconds_left(self, steps: int) -> float | None:
        """An estimate for so many further steps; None before two are done."""
        if self._counted < 2:
            return None
        return steps * (perf_counter() - self._first_step_done) / (self._counted - 1)


MAX_PENDING_STEPS = 20
"""Steps on a GPU between two looks at the losses: each look waits for all that is queued."""

_SMOOTHING = 0.9


class LossMonitor:
    """Collects the losses of steps and refuses values that are not finite.

    Attributes:
        mean: over the last ten steps or so; not a number before the first.
    """

    def __init__(self, recipe: Recipe, mean: float = math.nan) -> None:
        self.mean = mean
        self._recipe = recipe
        self._waiting: list[tuple[int, Tensor, Tensor | None]] = []

    def add(self, step: int, loss: Tensor, norm: Tensor | None) -> None:
        """Take note of a step's loss and of the norm of its gradients; look where that is free."""
        self._waiting.append((step, loss, norm))
        free = loss.device.type == "cpu"
        if free or math.isnan(self.mean) or len(self._waiting) >= MAX_PENDING_STEPS:
            self.check()

    def check(self) -> None:
        """Look at all that came in since the last look.

        Raises:
            TrainingError: a value is not finite; says at which step.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        values = torch.stack([loss for _, loss, _ in waiting]).tolist()
        norms = torch.stack([loss if norm is None else norm for _, loss, norm in waiting]).tolist()
        for (step, _, _), value, norm in zip(waiting, values, norms, strict=True):
            if not math.isfinite(value):
                raise self._error(f"the loss of step {step + 1} is {value}")
            if not math.isfinite(norm):
                raise self._error(f"the gradients of step {step + 1} are not finite")
            before = value if math.isnan(self.mean) else self.mean
            self.mean = _SMOOTHING * before + (1 - _SMOOTHING) * value

    def _error(self, what: str) -> TrainingError:
        recipe = self._recipe
        return TrainingError(
            f"{what}; try a lower learning rate (now {recipe.learning_rate:g}), clipped gradients "
            f"(clip_norm, now {recipe.clip_norm:g}) or precision fp32 (now {recipe.precision})"
        )

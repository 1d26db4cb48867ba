"""Learning rate, optimiser, average of the weights and mixed precision."""

from __future__ import annotations

import copy
import math
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from gnv2_nas.errors import InputError
from gnv2_nas.training.recipe import Recipe


def learning_rate(recipe: Recipe, step: int) -> float:
    """Learning rate of update number `step`, counted from 0.

    Linear warm-up, then half a cosine down to 0 (Loshchilov and Hutter, SGDR, 2017, eq. 5).
    """
    warm_up = round(recipe.warmup * recipe.steps)
    if step < warm_up:
        return recipe.learning_rate * (step + 1) / (warm_up + 1)
    done = (step - warm_up) / max(1, recipe.steps - warm_up)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def average_decay(recipe: Recipe, step: int) -> float:
    """Decay of the weight average after update number `step`, counted from 0.

    It starts low, so that the random initial weights soon leave the average.
    """
    return min(recipe.ema_decay, (1 + step) / (10 + step))


def evaluation_steps(recipe: Recipe) -> frozenset[int]:
    """Numbers of finished steps after which the held-out images are evaluated."""
    times = min(recipe.evaluations, recipe.steps)
    return frozenset(round(number * recipe.steps / times) for number in range(1, times + 1))


SGD_MOMENTUM = 0.9


def make_optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Make the optimiser of a recipe for all weights of `module`.

    One-dimensional weights, which are batch norms and biases, do not decay.
    """
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    groups: list[dict[str, Any]] = [
        {"params": [weight for weight in weights if weight.dim() > 1], "weight_decay": decay},
        {"params": [weight for weight in weights if weight.dim() <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, foreach=True)
    return torch.optim.SGD(groups, lr=rate, momentum=SGD_MOMENTUM, nesterov=True, foreach=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


class WeightAverage:
    """Exponential moving average of a module's state, as in GhostNetV2's published command.

    Running statistics of batch norm are averaged with the weights, so that both lag behind by the
    same number of steps. `torch.optim.swa_utils.AveragedModel` would do the same: for the 764
    tensors of GhostNetV2 1.0 it takes 7 ms an update on a CPU, this class takes 2 ms.

    Attributes:
        module: copy of the module with the averaged state.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = copy.deepcopy(module).requires_grad_(requires_grad=False)
        pairs = list(zip(_state(self.module), _state(module), strict=True))
        self._floating = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Set average ← decay · average + (1 - decay) · current; integers are copied."""
        averages, sources = zip(*self._floating, strict=True)
        torch._foreach_lerp_(averages, sources, 1 - decay)
        for average, source in self._counters:
            average.copy_(source)


def _state(module: nn.Module) -> list[Tensor]:
    return [*(weight.data for weight in module.parameters()), *module.buffers()]


_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class MixedPrecision:
    """Automatic mixed precision: forward passes in `recipe.precision`, weights in float32.

    Raises:
        InputError: fp16 on a CPU, where it is slower than float32.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        if recipe.precision == "fp16" and device.type != "cuda":
            raise InputError("precision fp16 needs a GPU; use bf16 or fp32 on the CPU")
        self._device = device
        self._type = _TYPES.get(recipe.precision)
        self._clip_norm = recipe.clip_norm
        # Small gradients vanish in fp16, so the loss is scaled up and the gradients down.
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")

    def autocast(self) -> AbstractContextManager[object]:
        """Context for forward passes; losses and backward passes stay outside."""
        return torch.autocast(self._device.type, self._type, enabled=self._type is not None)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss` to the existing ones."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def clip(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor | None:
        """Scale the gradients down to the recipe's norm.

        Returns:
            Their norm before clipping. None with fp16: there the norm is sometimes infinite,
            because the loss scale is found by trial, and the optimiser skips such a step.
        """
        self.scaler.unscale_(optimizer)
        limit = self._clip_norm or math.inf
        norm = nn.utils.clip_grad_norm_(module.parameters(), limit, foreach=True)
        return None if self.scaler.is_enabled() else norm

    def update(self, optimizer: torch.optim.Optimizer) -> None:
        """Take one step of the optimiser."""
        self.scaler.step(optimizer)
        self.scaler.update()

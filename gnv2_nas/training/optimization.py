"""Learning rate, optimiser, average of the weights and number format of a training."""

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
    """Of the update number `step`, counted from 0: linear warm-up, then half a cosine to 0
    (Loshchilov and Hutter, SGDR, 2017, eq. 5, without restarts)."""
    warm_up = round(recipe.warmup * recipe.steps)
    if step < warm_up:
        return recipe.learning_rate * (step + 1) / (warm_up + 1)
    done = (step - warm_up) / max(1, recipe.steps - warm_up)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def average_decay(recipe: Recipe, step: int) -> float:
    """Of the average of the weights after update number `step`, counted from 0.

    Lower at first, or the random initial weights would stay in the average for long.
    """
    return min(recipe.ema_decay, (1 + step) / (10 + step))


def evaluation_steps(recipe: Recipe) -> frozenset[int]:
    """Numbers of finished steps after which the held-out images are looked at."""
    times = min(recipe.evaluations, recipe.steps)
    return frozenset(round(number * recipe.steps / times) for number in range(1, times + 1))


SGD_MOMENTUM = 0.9


def make_optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of a recipe over all weights of `module`.

    Weights with one dimension, which are those of norms and all biases, do not decay: pulling a
    scale to 0 only makes the convolution before it work harder.
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
    """An exponential moving average of a module's state (Polyak averaging, as in GhostNetV2's
    published command).

    Batch norm's running statistics are averaged with the weights. They lag behind by the same
    number of steps, so they fit; measuring them anew would cost passes at every evaluation.

    Attributes:
        module: a copy of the module with the averaged state.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = copy.deepcopy(module).requires_grad_(requires_grad=False)
        pairs = list(zip(_state(self.module), _state(module), strict=True))
        self._floating = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counters = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self, decay: float) -> None:
        """Average ← decay · average + (1 - decay) · now; whole numbers are copied."""
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
        InputError: fp16 on a CPU, whose backward pass would be slower than float32.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        if recipe.precision == "fp16" and device.type != "cuda":
            raise InputError("precision fp16 needs a GPU; take bf16 or fp32 on the CPU")
        self._device = device
        self._type = _TYPES.get(recipe.precision)
        self._clip_norm = recipe.clip_norm
        # Small gradients vanish in fp16: the loss is scaled up, the gradients down again.
        self.scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")

    def autocast(self) -> AbstractContextManager[object]:
        """Forward passes belong in here; losses and backward passes do not."""
        return torch.autocast(self._device.type, self._type, enabled=self._type is not None)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss` to those that are there."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

    def clip(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor | None:
        """Scale the gradients down to the recipe's norm.

        Returns:
            Their norm before; None where nothing looks at it. Infinite now and then with fp16,
            whose scale is found by trial: such a step is left out.
        """
        self.scaler.unscale_(optimizer)
        limit = self._clip_norm or math.inf
        norm = nn.utils.clip_grad_norm_(module.parameters(), limit, foreach=True)
        return None if self.scaler.is_enabled() else norm

    def update(self, optimizer: torch.optim.Optimizer) -> None:
        """One step of the optimiser."""
        self.scaler.step(optimizer)
        self.scaler.update()

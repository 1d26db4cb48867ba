"""Number formats of the forward pass, and what half precision needs around it."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from gnv2_nas.errors import InputError
from gnv2_nas.quality.training.recipe import Recipe

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

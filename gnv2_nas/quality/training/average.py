"""The moving average of the weights: what is evaluated and saved."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


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

"""Optimisers: which weights decay, and which do not."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gnv2_nas.quality.training.recipe import Recipe

MOMENTUM = 0.9


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
    return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM, nesterov=True, foreach=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate

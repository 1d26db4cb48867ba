"""Torch models with weights that are not trivial, and how their outputs are compared."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gnv2_nas.arch import Architecture
from gnv2_nas.arch.presets import STOCK
from gnv2_nas.nn import Network, build_model

PRESETS = (*STOCK, "repghostnet-1.0")
"""One RepGhostNet is as good as eight: they differ in width only."""


def presets_at(smallest: int, *others: int) -> list[Any]:
    """Parameters (name, resolution); at other resolutions, presets but stock V2 are slow."""
    return [
        pytest.param(name, side, marks=[pytest.mark.slow] if slow else [])
        for name in PRESETS
        for side in (smallest, *others)
        for slow in [side != smallest and name != "ghostnetv2-1.0"]
    ]


def randomize(module: nn.Module) -> nn.Module:
    """`module` in evaluation mode, with weights that let no mistake hide.

    A fresh batch norm is the identity, whoever folds it wrongly; and through torch's own initial
    convolutions so little of the image arrives that the logits hardly depend on it.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.2)
            nn.init.normal_(layer.running_mean, std=0.2)
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    return module.eval()


def random_model(arch: Architecture, seed: int = 0) -> Network:
    """The module of `arch` with random weights everywhere, in evaluation mode."""
    torch.manual_seed(seed)
    model = build_model(arch)
    randomize(model)
    return model


def random_image(resolution: int, seed: int = 1) -> Tensor:
    """(1, 3, resolution, resolution), normal deviates."""
    return torch.randn(1, 3, resolution, resolution, generator=torch.Generator().manual_seed(seed))


def difference(found: Any, expected: Any) -> float:
    """Largest absolute difference, relative to the largest absolute expected value."""
    found, expected = torch.as_tensor(found), torch.as_tensor(expected)
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-6))

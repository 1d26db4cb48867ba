"""Torch models with weights that are not trivial, and how their outputs are compared."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gnv2_nas.arch import Architecture
from gnv2_nas.nn import Network, build_model


def randomize(module: nn.Module) -> nn.Module:
    """`module` in evaluation mode, its batch norms with random weights and statistics.

    A fresh batch norm is the identity and would hide one that was folded wrongly.
    """
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
            nn.init.uniform_(norm.running_mean, -0.5, 0.5)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
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

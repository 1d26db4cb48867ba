"""Torch modules with the random weights of a data-free score."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import lower
from gnv2_nas.nn import Network
from gnv2_nas.quality.proxies.random_network import random_tensors


def model_and_images(
    arch: Architecture, count: int, generator: torch.Generator, *, images_first: bool
) -> tuple[Network, Tensor]:
    """The module in training mode, its weights and the images drawn in the score's order."""
    shape = (count, 3, arch.resolution, arch.resolution)
    images = torch.randn(shape, generator=generator) if images_first else None
    model = Network(arch, dropout=0.0).train()
    tensors = random_tensors(lower(arch), generator)
    result = model.load_state_dict(tensors, strict=False)
    assert all("running" in key or "num_batches" in key for key in result.missing_keys)
    assert not result.unexpected_keys
    if images is None:
        images = torch.randn(shape, generator=generator)
    return model, images


def outputs_of(model: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """Filled with the outputs of the modules of those names when the model runs."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> None:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            outputs[name] = output

        model.get_submodule(name).register_forward_hook(hook)

    for name in names:
        keep(name)
    return outputs

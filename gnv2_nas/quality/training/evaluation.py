"""Accuracy on held-out images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data import Split, prepared
from gnv2_nas.quality.training.memory import ran_out, release

LogitsOf = Callable[[Tensor], Tensor]


def accuracy(
    logits_of: LogitsOf,
    split: Split,
    resolution: int,
    preprocessing: Preprocessing,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> float:
    """Share of the images whose largest logit is that of their label (top-1), 0..1.

    Args:
        logits_of: prepared images (B, 3, resolution, resolution) → logits (B, classes), in
            evaluation mode.
    """
    right = correctness(logits_of, split, resolution, preprocessing, batch_size, device)
    return right.double().mean().item()


def correctness(
    logits_of: LogitsOf,
    split: Split,
    resolution: int,
    preprocessing: Preprocessing,
    batch_size: int = 256,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Which images are classified rightly: bool (N,), on the CPU, in the order of the split.

    Two networks compared image by image differ with less noise than their accuracies. Where memory
    runs out the batches are halved.
    """
    while True:
        try:
            return _correctness(logits_of, split, resolution, preprocessing, batch_size, device)
        except (RuntimeError, MemoryError) as error:
            if batch_size == 1 or not ran_out(error):
                raise
        # Outside of the handler: the exception holds on to the feature maps.
        release(torch.device(device))
        batch_size //= 2


@torch.inference_mode()
def _correctness(
    logits_of: LogitsOf,
    split: Split,
    resolution: int,
    preprocessing: Preprocessing,
    batch_size: int,
    device: torch.device | str,
) -> Tensor:
    found = []
    for indices in torch.split(torch.arange(len(split)), batch_size):
        images = prepared(split.images(indices).to(device), resolution, preprocessing)
        found.append(logits_of(images).argmax(1).cpu() == split.labels[indices])
    return torch.cat(found)

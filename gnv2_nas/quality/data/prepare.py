"""Stored images as a network's input, without anything random: for evaluation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import Preprocessing


def prepared(images: Tensor, resolution: int, preprocessing: Preprocessing) -> Tensor:
    """Square images at the resolution of a network, normalised.

    Resized as Pillow does it: bilinear, antialiased when shrinking.

    Args:
        images: uint8, shape (B, 3, S, S), on any device.
        resolution: R, pixels.

    Returns:
        float32, shape (B, 3, R, R), on the same device.
    """
    values = images.float()
    side = images.shape[-1]
    if side != resolution:
        size = (resolution, resolution)
        values = F.interpolate(values, size, mode="bilinear", antialias=side > resolution)
    mean, std = (
        torch.tensor(numbers, device=images.device).view(3, 1, 1) * 255
        for numbers in (preprocessing.mean, preprocessing.std)
    )
    return (values - mean).div_(std)

"""Convolutions in the form PyTorch is quickest at.

On a CPU with channels last, forward and backward, against `F.conv2d`: a 1x1 convolution as a
matrix product takes 0.9 of the time on 256 pixels, half on 16 to 64, a fifth on one; a depthwise
one of a single tap, as DFC kernels on maps of one pixel are, takes a fifth as a product.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.graph import Op


def is_channels_last(images: Tensor) -> bool:
    """Whether the images, and so all maps, are in memory pixel by pixel."""
    return images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()


def convolved(x: Tensor, weight: Tensor, bias: Tensor | None, op: Op) -> Tensor:
    """(N, in_channels, H, W) → (N, out_channels, H', W'), padded by kernel//2: torch's own.

    Args:
        weight: (out_channels, in_channels / groups, kernel_h, kernel_w).
        bias: (out_channels,) or None.
        op: the convolution; its kernel, stride and groups count.
    """
    height, width = op.kernel
    return F.conv2d(x, weight, bias, op.stride, (height // 2, width // 2), groups=op.groups)


def convolved_channels_last(x: Tensor, weight: Tensor, bias: Tensor | None, op: Op) -> Tensor:
    """The same of maps in channels last, to rounding."""
    if (*op.kernel, op.stride) == (1, 1, 1):
        if op.groups == 1:
            return _matrix_product(x, weight, bias)
        if op.groups == op.in_channels == op.shape[0]:
            return _product(x, weight, bias)
    return convolved(x, weight, bias, op)


def _matrix_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Channels last, the pixels of all images are the rows of a matrix; nothing is copied."""
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """One tap for each channel scales it."""
    scaled = x * weight.view(1, -1, 1, 1)
    return scaled if bias is None else scaled + bias.view(1, -1, 1, 1)

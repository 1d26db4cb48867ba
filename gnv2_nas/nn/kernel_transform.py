"""From the largest depthwise kernel to smaller ones: a learned transform of its centre.

Once-for-all's kernel transformation (Cai et al., ICLR 2020, sec. 3.3): the centre of a large kernel
is not by itself a good small one, so each smaller size has a square matrix of its own that acts on
the flattened taps, shared by all channels.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class KernelTransform(nn.Module):
    """The matrices of one convolution, each stored as what it adds to the identity.

    So a fresh transform is the centre crop to the last bit, and weight decay pulls towards it.
    """

    def __init__(self, largest: tuple[int, int]) -> None:
        """Args:
        largest: height and width of the stored kernel, odd; where one is 1 it stays 1.
        """
        super().__init__()
        for size in range(1, max(largest), 2):
            height, width = (min(size, side) for side in largest)
            taps = height * width
            delta = nn.Parameter(torch.zeros(taps, taps))
            self.register_parameter(_name((height, width)), delta)

    def apply_to(self, centre: Tensor) -> Tensor:
        """Centres of large kernels, (channels, 1, height, width) → kernels of that size."""
        taps = centre.flatten(1)
        delta = cast(Tensor, getattr(self, _name(centre.shape[-2:])))
        return torch.addmm(taps, taps, delta).view(centre.shape)


def _name(kernel: tuple[int, ...]) -> str:
    return f"{kernel[0]}x{kernel[1]}"

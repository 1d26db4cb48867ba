"""From the largest depthwise kernel to smaller ones: a learned transform of its centre.

Once-for-all's kernel transformation (Cai et al., 2020, sec. 3.3): the centre of a large kernel is
not by itself a good small one, so each smaller size has a square matrix of its own that acts on
the flattened taps, shared by all channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnv2_nas.graph.weights import centre_crop


class KernelTransform(nn.Module):
    """The matrices of one convolution, each stored as what it adds to the identity.

    So a fresh transform is the centre crop to the last bit, and weight decay pulls towards it.
    """

    def __init__(self, largest: tuple[int, int]) -> None:
        """Args:
        largest: height and width of the stored kernel, odd; where one is 1 it stays 1.
        """
        super().__init__()
        self.largest = largest
        self.deltas = nn.ParameterDict(
            {
                _name((height, width)): nn.Parameter(torch.zeros(height * width, height * width))
                for height, width in _smaller(largest)
            }
        )

    def forward(self, weight: Tensor, kernel: tuple[int, int]) -> Tensor:
        """(channels, 1, *largest) → (channels, 1, *kernel)."""
        if kernel == self.largest:
            return weight
        centre = centre_crop(weight, kernel)
        taps = centre.flatten(1)
        return torch.addmm(taps, taps, self.deltas[_name(kernel)]).view(centre.shape)


def _smaller(largest: tuple[int, int]) -> list[tuple[int, int]]:
    """Sizes a network may ask for: odd, square when the largest is."""
    height, width = largest
    return [(min(size, height), min(size, width)) for size in range(1, max(largest), 2)]


def _name(kernel: tuple[int, int]) -> str:
    return f"{kernel[0]}x{kernel[1]}"

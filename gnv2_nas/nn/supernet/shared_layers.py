"""Layers of a supernet: as large as the largest network needs, cut to a network's size on demand.

`KernelTransform` learns how smaller depthwise kernels follow from the centre of the largest.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gnv2_nas.arch import DFC
from gnv2_nas.graph.weights import centre_crop
from gnv2_nas.nn.layers import convolution
from gnv2_nas.nn.supernet.slices import ALL, Channels, first_channels, submatrix


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


Tensors = dict[str, Tensor]


class _SharedNorm(nn.Module):
    """Scale and shift of a batch norm, which keeps no statistics."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_weight = nn.Parameter(torch.ones(channels))
        self.norm_bias = nn.Parameter(torch.zeros(channels))

    def norm_tensors(self, key: str, channels: Channels) -> Tensors:
        return {
            f"{key}.weight": channels.rows(self.norm_weight),
            f"{key}.bias": channels.rows(self.norm_bias),
        }


class SharedConvolution(_SharedNorm):
    """A convolution that reads all channels of its input, with batch norm."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1) -> None:
        super().__init__(out_channels)
        self.weight = convolution(in_channels, out_channels, kernel).weight

    def tensors(self, conv: str, norm: str, rows: Channels, columns: Channels = ALL) -> Tensors:
        """The weights of a network's convolution `conv` and batch norm `norm`."""
        weight = submatrix(self.weight, rows, columns)
        return {f"{conv}.weight": weight} | self.norm_tensors(norm, rows)


class SharedDepthwise(_SharedNorm):
    """A depthwise convolution with batch norm: one filter for every output channel."""

    def __init__(self, channels: int, kernel: tuple[int, int]) -> None:
        super().__init__(channels)
        self.weight = convolution(channels, channels, kernel, groups=channels).weight
        self.kernel = kernel
        self.transform = KernelTransform(kernel)

    def tensors(self, conv: str, norm: str, rows: Channels, kernel: tuple[int, int]) -> Tensors:
        """The weights of a network's convolution `conv`, of that size, and batch norm `norm`."""
        if kernel == self.kernel:
            weight = rows.rows(self.weight)
        else:
            # The crop is a view: only the taps that stay are gathered.
            weight = self.transform.apply_to(rows.rows(centre_crop(self.weight, kernel)))
        return {f"{conv}.weight": weight} | self.norm_tensors(norm, rows)


class SharedBiasedConvolution(nn.Module):
    """A 1x1 convolution with a bias and no batch norm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        plain = convolution(in_channels, out_channels, bias=True)
        self.weight, self.bias = plain.weight, cast(nn.Parameter, plain.bias)

    def tensors(self, key: str, rows: Channels, columns: Channels) -> Tensors:
        """The weights of the convolution `key` of a network."""
        return {
            f"{key}.weight": submatrix(self.weight, rows, columns),
            f"{key}.bias": rows.rows(self.bias),
        }


class SharedSqueezeExcite(nn.Module):
    """Squeeze-and-excitation; the channels in its middle are the first ones."""

    def __init__(self, channels: int, se_channels: int) -> None:
        super().__init__()
        self.se_channels = se_channels
        self.conv_reduce = SharedBiasedConvolution(channels, se_channels)
        self.conv_expand = SharedBiasedConvolution(se_channels, channels)

    def tensors(self, key: str, se_channels: int, channels: Channels) -> Tensors:
        """The weights of a block whose hidden map has these channels."""
        middle = first_channels(se_channels, self.se_channels)
        return {
            **self.conv_reduce.tensors(f"{key}.conv_reduce", middle, channels),
            **self.conv_expand.tensors(f"{key}.conv_expand", channels, middle),
        }


class SharedAttention(nn.Module):
    """DFC attention: its gates stand as the channels they multiply."""

    def __init__(self, in_channels: int, out_channels: int, kernel_h: int, kernel_w: int) -> None:
        super().__init__()
        self.pointwise = SharedConvolution(in_channels, out_channels)
        self.horizontal = SharedDepthwise(out_channels, (1, kernel_w))
        self.vertical = SharedDepthwise(out_channels, (kernel_h, 1))

    def tensors(self, key: str, dfc: DFC, source: Channels, gates: Channels) -> Tensors:
        """The weights of the attention `key` that gates a Ghost output of channels `gates`."""
        horizontal, vertical = (1, dfc.kernel_w), (dfc.kernel_h, 1)
        return {
            **self.pointwise.tensors(f"{key}.0", f"{key}.1", gates, source),
            **self.horizontal.tensors(f"{key}.2", f"{key}.3", gates, horizontal),
            **self.vertical.tensors(f"{key}.4", f"{key}.5", gates, vertical),
        }

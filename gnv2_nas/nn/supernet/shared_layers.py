"""Shared layers: as large as the largest network needs, sliced to the size of one network."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gnv2_nas.arch import DFC
from gnv2_nas.graph.weights import centre_crop
from gnv2_nas.nn.layers import convolution
from gnv2_nas.nn.supernet.slices import ALL, Channels, first_channels, submatrix


class KernelTransform(nn.Module):
    """Learned linear maps from the centre of a depthwise kernel to a smaller kernel, as in
    once-for-all.

    The parameters are differences from the identity. So the initial transform is exactly the
    centre crop, and weight decay pulls towards it.
    """

    def __init__(self, largest: tuple[int, int]) -> None:
        """Args:
        largest: height and width of the stored kernel; odd.
        """
        super().__init__()
        for size in range(1, max(largest), 2):
            height, width = (min(size, side) for side in largest)
            taps = height * width
            delta = nn.Parameter(torch.zeros(taps, taps))
            self.register_parameter(_name((height, width)), delta)

    def apply_to(self, centre: Tensor) -> Tensor:
        """Centres of large kernels (channels, 1, height, width) → kernels of the same shape."""
        taps = centre.flatten(1)
        delta = cast(Tensor, getattr(self, _name(centre.shape[-2:])))
        return torch.addmm(taps, taps, delta).view(centre.shape)


def _name(kernel: tuple[int, ...]) -> str:
    return f"{kernel[0]}x{kernel[1]}"


Tensors = dict[str, Tensor]


class _SharedNorm(nn.Module):
    """Scale and shift of a batch norm without running statistics."""

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
    """A shared convolution with groups=1 and batch norm."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1) -> None:
        super().__init__(out_channels)
        self.weight = convolution(in_channels, out_channels, kernel).weight

    def tensors(self, conv: str, norm: str, rows: Channels, columns: Channels = ALL) -> Tensors:
        """The weights of convolution `conv` and batch norm `norm` of a network."""
        weight = submatrix(self.weight, rows, columns)
        return {f"{conv}.weight": weight} | self.norm_tensors(norm, rows)


class SharedDepthwise(_SharedNorm):
    """A shared depthwise convolution with batch norm: one filter per output channel."""

    def __init__(self, channels: int, kernel: tuple[int, int]) -> None:
        super().__init__(channels)
        self.weight = convolution(channels, channels, kernel, groups=channels).weight
        self.kernel = kernel
        self.transform = KernelTransform(kernel)

    def tensors(self, conv: str, norm: str, rows: Channels, kernel: tuple[int, int]) -> Tensors:
        """The weights of convolution `conv` of that kernel size and of batch norm `norm`."""
        if kernel == self.kernel:
            weight = rows.rows(self.weight)
        else:
            # Cropping first copies only the taps that remain.
            weight = self.transform.apply_to(rows.rows(centre_crop(self.weight, kernel)))
        return {f"{conv}.weight": weight} | self.norm_tensors(norm, rows)


class SharedBiasedConvolution(nn.Module):
    """A shared 1x1 convolution with a bias and no batch norm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        plain = convolution(in_channels, out_channels, bias=True)
        self.weight, self.bias = plain.weight, cast(nn.Parameter, plain.bias)

    def tensors(self, key: str, rows: Channels, columns: Channels) -> Tensors:
        """The weights of convolution `key` of a network."""
        return {
            f"{key}.weight": submatrix(self.weight, rows, columns),
            f"{key}.bias": rows.rows(self.bias),
        }


class SharedSqueezeExcite(nn.Module):
    """Shared squeeze-and-excitation. A network uses the first bottleneck channels."""

    def __init__(self, channels: int, se_channels: int) -> None:
        super().__init__()
        self.se_channels = se_channels
        self.conv_reduce = SharedBiasedConvolution(channels, se_channels)
        self.conv_expand = SharedBiasedConvolution(se_channels, channels)

    def tensors(self, key: str, se_channels: int, channels: Channels) -> Tensors:
        """The weights of squeeze-and-excitation `key` on these channels."""
        middle = first_channels(se_channels, self.se_channels)
        return {
            **self.conv_reduce.tensors(f"{key}.conv_reduce", middle, channels),
            **self.conv_expand.tensors(f"{key}.conv_expand", channels, middle),
        }


class SharedAttention(nn.Module):
    """Shared DFC attention. The gates have the order of the channels that they multiply."""

    def __init__(self, in_channels: int, out_channels: int, kernel_h: int, kernel_w: int) -> None:
        super().__init__()
        self.pointwise = SharedConvolution(in_channels, out_channels)
        self.horizontal = SharedDepthwise(out_channels, (1, kernel_w))
        self.vertical = SharedDepthwise(out_channels, (kernel_h, 1))

    def tensors(self, key: str, dfc: DFC, source: Channels, gates: Channels) -> Tensors:
        """The weights of attention `key` on a Ghost output of channels `gates`."""
        horizontal, vertical = (1, dfc.kernel_w), (dfc.kernel_h, 1)
        return {
            **self.pointwise.tensors(f"{key}.0", f"{key}.1", gates, source),
            **self.horizontal.tensors(f"{key}.2", f"{key}.3", gates, horizontal),
            **self.vertical.tensors(f"{key}.4", f"{key}.5", gates, vertical),
        }

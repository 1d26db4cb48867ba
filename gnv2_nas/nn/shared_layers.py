"""Layers of a supernet: as large as the largest network needs, cut to a network's size on demand.

They compute nothing themselves. `tensors` gives the weights that the plain layer has, under the
keys of its state dict, as differentiable slices of the shared ones.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from gnv2_nas.arch import DFC
from gnv2_nas.nn.kernel_transform import KernelTransform
from gnv2_nas.nn.layers import convolution
from gnv2_nas.nn.slices import ALL, Channels, first_channels

Tensors = dict[str, Tensor]


class SharedConvolution(nn.Module):
    """A convolution with batch norm; a depthwise one has a filter for every output channel."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: tuple[int, int] = (1, 1),
        *,
        depthwise: bool = False,
    ) -> None:
        super().__init__()
        groups = in_channels if depthwise else 1
        self.weight = convolution(in_channels, out_channels, kernel, groups=groups).weight
        self.norm_weight = nn.Parameter(torch.ones(out_channels))
        self.norm_bias = nn.Parameter(torch.zeros(out_channels))
        self.transform = KernelTransform(kernel) if depthwise and max(kernel) > 1 else None

    def tensors(
        self,
        conv: str,
        norm: str,
        rows: Channels,
        columns: Channels = ALL,
        kernel: tuple[int, int] = (1, 1),
    ) -> Tensors:
        """The weights of the convolution `conv` and the batch norm `norm` of a network."""
        weight = columns.columns(rows.rows(self.weight))
        if self.transform is not None:
            weight = self.transform(weight, kernel)
        return {
            f"{conv}.weight": weight,
            f"{norm}.weight": rows.rows(self.norm_weight),
            f"{norm}.bias": rows.rows(self.norm_bias),
        }


class SharedBiasedConvolution(nn.Module):
    """A 1x1 convolution with a bias and no batch norm."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        plain = convolution(in_channels, out_channels, bias=True)
        self.weight, self.bias = plain.weight, cast(nn.Parameter, plain.bias)

    def tensors(self, key: str, rows: Channels, columns: Channels) -> Tensors:
        """The weights of the convolution `key` of a network."""
        return {
            f"{key}.weight": columns.columns(rows.rows(self.weight)),
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
        self.horizontal = SharedConvolution(
            out_channels, out_channels, (1, kernel_w), depthwise=True
        )
        self.vertical = SharedConvolution(out_channels, out_channels, (kernel_h, 1), depthwise=True)

    def tensors(self, key: str, dfc: DFC, source: Channels, gates: Channels) -> Tensors:
        """The weights of the attention `key` that gates a Ghost output of channels `gates`."""
        horizontal, vertical = (1, dfc.kernel_w), (dfc.kernel_h, 1)
        return {
            **self.pointwise.tensors(f"{key}.0", f"{key}.1", gates, source),
            **self.horizontal.tensors(f"{key}.2", f"{key}.3", gates, kernel=horizontal),
            **self.vertical.tensors(f"{key}.4", f"{key}.5", gates, kernel=vertical),
        }

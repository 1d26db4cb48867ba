"""Shared layers: as large as the largest network needs, sliced to the size of one network.

Each channel of a Ghost output is primary channel g or cheap copy c of primary channel g, in every
network. The shared tensor holds all primary channels, then copy 0 of each of them, then copy 1,
and so on; `ChannelGroups` counts the channels of each group. In a network of ratio r with p
primary channels, the copies of one primary channel stand together: copy c of g is channel
p + g(r-1) + c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from gnv2_nas.arch import DFC, ChannelGroups
from gnv2_nas.graph.weights import centre_crop
from gnv2_nas.nn.layers import convolution


class GhostOutput(NamedTuple):
    """The output of a network's Ghost module: it determines the order of its channels."""

    ratio: int
    channels: int

    @property
    def primary(self) -> int:
        return -(-self.channels // self.ratio)


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """A selection of channels of a shared tensor, in the order of the network."""

    ranges: tuple[slice, ...]
    """Ranges of channels; empty to select all."""
    index: Tensor | None = None
    """The same channels one by one, if there are several ranges."""

    def rows(self, tensor: Tensor) -> Tensor:
        """The selection along the first dimension; differentiable."""
        if not self.ranges:
            return tensor
        if self.index is not None:
            return tensor.index_select(0, self.index)
        return tensor[self.ranges[0]]

    def columns(self, tensor: Tensor) -> Tensor:
        """The selection along the second dimension; differentiable."""
        if not self.ranges:
            return tensor
        if len(self.ranges) > 2 and self.index is not None:
            return tensor.index_select(1, self.index)
        pieces = [tensor[:, part] for part in self.ranges]
        # Concatenating the two halves of a Ghost output is twice as fast as `index_select`.
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, 1)


ALL = Channels(())


def submatrix(weight: Tensor, rows: Channels, columns: Channels) -> Tensor:
    """The selected rows and columns of a weight (out, in, height, width)."""
    if len(rows.ranges) == 2:
        # Selecting all rows first would copy columns that are not needed.
        return torch.cat([columns.columns(weight[part]) for part in rows.ranges])
    return columns.columns(rows.rows(weight))


@lru_cache(maxsize=1 << 12)
def first_channels(count: int, of: int) -> Channels:
    """The first `count` of `of` channels."""
    return ALL if count == of else Channels((slice(count),))


@lru_cache(maxsize=1 << 12)
def ghost_channels(output: GhostOutput, groups: ChannelGroups, device: torch.device) -> Channels:
    """All channels of a Ghost output in a shared tensor of these groups."""
    copies = _copies(output, groups)
    positions = [*range(output.primary), *(groups[0] + position for position in copies)]
    return _channels(positions[: output.channels], sum(groups), device)


@lru_cache(maxsize=1 << 12)
def cheap_channels(output: GhostOutput, groups: ChannelGroups, device: torch.device) -> Channels:
    """The channels of a Ghost module's cheap convolution among all copies of these groups."""
    return _channels(_copies(output, groups), sum(groups[1:]), device)


def _copies(output: GhostOutput, groups: ChannelGroups) -> list[int]:
    """Positions of the cheap copies of each primary channel among all copies."""
    starts = list(accumulate(groups[1:], initial=0))
    return [
        starts[copy] + primary
        for primary in range(output.primary)
        for copy in range(output.ratio - 1)
    ]


def _channels(positions: Sequence[int], of: int, device: torch.device) -> Channels:
    ranges: list[tuple[int, int]] = []
    for position in positions:
        if ranges and ranges[-1][1] == position:
            ranges[-1] = (ranges[-1][0], position + 1)
        else:
            ranges.append((position, position + 1))
    if ranges == [(0, of)]:
        return ALL
    with torch.inference_mode(False):
        # The cache keeps the index for later calls, which may train.
        index = torch.tensor(positions, device=device) if len(ranges) > 1 else None
    return Channels(tuple(slice(*part) for part in ranges), index)


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


class SharedNorm(nn.Module):
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


class SharedConvolution(SharedNorm):
    """A shared convolution with groups=1 and batch norm."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 1) -> None:
        super().__init__(out_channels)
        self.weight = convolution(in_channels, out_channels, kernel).weight

    def tensors(self, conv: str, norm: str, rows: Channels, columns: Channels = ALL) -> Tensors:
        """The weights of convolution `conv` and batch norm `norm` of a network."""
        weight = submatrix(self.weight, rows, columns)
        return {f"{conv}.weight": weight} | self.norm_tensors(norm, rows)


class SharedDepthwise(SharedNorm):
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

"""Layers that several families use. Attribute names are the keys of the public checkpoints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.arch import Activation

_initialising: ContextVar[bool] = ContextVar("initialising", default=True)


@contextlib.contextmanager
def skip_initialization() -> Iterator[None]:
    """Build modules without initial weights. Drawing them takes most of the time of building."""
    token = _initialising.set(False)
    try:
        yield
    finally:
        _initialising.reset(token)


class Convolution(nn.Conv2d):
    """`nn.Conv2d` that supports `skip_initialization`."""

    def reset_parameters(self) -> None:
        if _initialising.get():
            super().reset_parameters()


class Classifier(nn.Linear):
    """`nn.Linear` that supports `skip_initialization`."""

    def reset_parameters(self) -> None:
        if _initialising.get():
            super().reset_parameters()


def activation(name: Activation) -> nn.Module:
    return nn.ReLU(inplace=True) if name == "relu" else nn.Hardswish(inplace=True)


def convolution(
    in_channels: int,
    out_channels: int,
    kernel: int | tuple[int, int] = 1,
    stride: int = 1,
    groups: int = 1,
    *,
    bias: bool = False,
) -> nn.Conv2d:
    """A convolution with padding kernel//2, so that stride 1 keeps the map's size."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (height // 2, width // 2)
    return Convolution(
        in_channels, out_channels, (height, width), stride, padding, groups=groups, bias=bias
    )


class ConvBnAct(nn.Module):
    """The last 1x1 convolution of a network, with batch norm and activation."""

    def __init__(self, in_channels: int, out_channels: int, act: Activation) -> None:
        super().__init__()
        self.conv = convolution(in_channels, out_channels)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.act1 = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H, W)."""
        out: Tensor = self.act1(self.bn1(self.conv(x)))
        return out


class SqueezeExcite(nn.Module):
    """Squeeze-and-excitation with ReLU inside and a hard sigmoid gate (MobileNetV3, sec. 5.3)."""

    def __init__(self, channels: int, se_channels: int) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv_reduce = convolution(channels, se_channels, bias=True)
        self.act1 = nn.ReLU(inplace=True)
        self.conv_expand = convolution(se_channels, channels, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) → the same shape, each channel multiplied by its gate."""
        gate = self.conv_expand(self.act1(self.conv_reduce(self.avg_pool(x))))
        return x * F.hardsigmoid(gate)

"""The inverted residual of MobileNetV3."""

from __future__ import annotations

from torch import Tensor, nn

from gnv2_nas.arch import MobileBlock, is_identity_shortcut
from gnv2_nas.nn.layers import SqueezeExcite, activation, convolution


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, SE, linear 1x1 projection (MobileNetV3, fig. 4)."""

    def __init__(self, in_channels: int, block: MobileBlock) -> None:
        super().__init__()
        hidden, out_channels = block.hidden_channels, block.out_channels
        self.conv_pw = convolution(in_channels, hidden)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.act1 = activation(block.activation)
        self.conv_dw = convolution(hidden, hidden, block.kernel, block.stride, hidden)
        self.bn2 = nn.BatchNorm2d(hidden)
        self.act2 = activation(block.activation)
        self.se = SqueezeExcite(hidden, block.se_channels) if block.se_channels else nn.Identity()
        self.conv_pwl = convolution(hidden, out_channels)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.has_skip = is_identity_shortcut(block, in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        out: Tensor = self.act1(self.bn1(self.conv_pw(x)))
        out = self.se(self.act2(self.bn2(self.conv_dw(out))))
        out = self.bn3(self.conv_pwl(out))
        return out + x if self.has_skip else out


class DepthwiseSeparable(nn.Module):
    """An inverted residual without expansion: the hidden channels equal the input channels."""

    def __init__(self, in_channels: int, block: MobileBlock) -> None:
        super().__init__()
        self.conv_dw = convolution(
            in_channels, in_channels, block.kernel, block.stride, in_channels
        )
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.act1 = activation(block.activation)
        self.se = (
            SqueezeExcite(in_channels, block.se_channels) if block.se_channels else nn.Identity()
        )
        self.conv_pw = convolution(in_channels, block.out_channels)
        self.bn2 = nn.BatchNorm2d(block.out_channels)
        self.has_skip = is_identity_shortcut(block, in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        out: Tensor = self.se(self.act1(self.bn1(self.conv_dw(x))))
        out = self.bn2(self.conv_pw(out))
        return out + x if self.has_skip else out

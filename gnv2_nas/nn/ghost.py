"""Ghost module, GhostV2 module and Ghost bottleneck."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gnv2_nas.arch import GhostBlock, is_identity_shortcut
from gnv2_nas.arch import GhostModule as GhostModuleSpec
from gnv2_nas.nn.attention import DFCAttention
from gnv2_nas.nn.layers import SqueezeExcite, convolution


class GhostModule(nn.Module):
    """Ghost module (GhostNet, sec. 3.1); with DFC attention the GhostV2 module (fig. 5).

    ceil(out / ratio) primary channels by a 1x1 convolution, the rest by a depthwise one on
    those, cut to `out_channels`. The attention reads the module's input.
    """

    def __init__(
        self, in_channels: int, out_channels: int, spec: GhostModuleSpec, *, relu: bool
    ) -> None:
        super().__init__()
        primary = -(-out_channels // spec.ratio)
        cheap = primary * (spec.ratio - 1)
        self.out_channels = out_channels
        self.primary_conv = nn.Sequential(
            convolution(in_channels, primary),
            nn.BatchNorm2d(primary),
            nn.ReLU(inplace=True) if relu else nn.Sequential(),
        )
        self.cheap_operation = nn.Sequential(
            convolution(primary, cheap, spec.cheap_kernel, groups=primary),
            nn.BatchNorm2d(cheap),
            nn.ReLU(inplace=True) if relu else nn.Sequential(),
        )
        self.short_conv = (
            DFCAttention(in_channels, out_channels, spec.dfc) if spec.dfc is not None else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H, W)."""
        primary = self.primary_conv(x)
        out = torch.cat([primary, self.cheap_operation(primary)], dim=1)
        if out.shape[1] > self.out_channels:
            out = out[:, : self.out_channels]
        return out if self.short_conv is None else out * self.short_conv(x)


class GhostBottleneck(nn.Module):
    """Ghost bottleneck of V1 and V2 (GhostNet, fig. 3; GhostNetV2, fig. 5)."""

    def __init__(self, in_channels: int, block: GhostBlock) -> None:
        super().__init__()
        hidden, out_channels, stride = block.hidden_channels, block.out_channels, block.stride
        self.ghost1 = GhostModule(in_channels, hidden, block.ghost1, relu=True)
        self.conv_dw: nn.Module = nn.Identity()
        self.bn_dw: nn.Module = nn.Identity()
        if stride > 1:
            self.conv_dw = convolution(hidden, hidden, block.kernel, stride, hidden)
            self.bn_dw = nn.BatchNorm2d(hidden)
        self.se = SqueezeExcite(hidden, block.se_channels) if block.se_channels else nn.Identity()
        self.ghost2 = GhostModule(hidden, out_channels, block.ghost2, relu=False)
        self.shortcut = nn.Sequential()
        if not is_identity_shortcut(block, in_channels):
            self.shortcut = nn.Sequential(
                convolution(in_channels, in_channels, block.kernel, stride, in_channels),
                nn.BatchNorm2d(in_channels),
                convolution(in_channels, out_channels),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, ceil(H / stride), ceil(W / stride))."""
        out = self.bn_dw(self.conv_dw(self.ghost1(x)))
        summed: Tensor = self.ghost2(self.se(out)) + self.shortcut(x)
        return summed

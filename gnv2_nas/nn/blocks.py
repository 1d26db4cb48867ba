"""The blocks of the families: Ghost bottleneck and inverted residual."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.arch import DFC, GhostBlock, MobileBlock, is_identity_shortcut
from gnv2_nas.arch import GhostModule as GhostModuleSpec
from gnv2_nas.nn.layers import SqueezeExcite, activation, convolution


class DFCAttention(nn.Sequential):
    """Decoupled fully connected attention (GhostNetV2, eq. 4-5, fig. 4b).

    Down-sampling; 1x1, 1 x K_W and K_H x 1 convolutions with batch norm, the latter two depthwise;
    sigmoid; resize to the size of the features. The six layers are `short_conv.0` …
    `short_conv.5` of the public checkpoints.
    """

    def __init__(self, in_channels: int, out_channels: int, dfc: DFC) -> None:
        horizontal, vertical = (1, dfc.kernel_w), (dfc.kernel_h, 1)
        super().__init__(
            convolution(in_channels, out_channels),
            nn.BatchNorm2d(out_channels),
            convolution(out_channels, out_channels, horizontal, groups=out_channels),
            nn.BatchNorm2d(out_channels),
            convolution(out_channels, out_channels, vertical, groups=out_channels),
            nn.BatchNorm2d(out_channels),
        )
        self.dfc = dfc

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → gates in (0, 1), (N, out_channels, H, W)."""
        height, width = x.shape[-2:]
        # Images smaller than the architecture's resolution may be smaller than the factor.
        factor = min(self.dfc.factor, height, width)
        if factor > 1:
            pool = F.avg_pool2d if self.dfc.pool == "avg" else F.max_pool2d
            x = pool(x, factor, factor)
        for layer in self:
            x = layer(x)
        gate = torch.sigmoid(x)
        if gate.shape[-2:] != (height, width):
            gate = F.interpolate(gate, size=(height, width), mode=self.dfc.resize)
        return gate


class FullyConnectedAttention(nn.Module):
    """The full attention that DFC decouples (GhostNetV2, eq. 3); tests compare the two.

    It has `channels · (H·W)²` parameters and multiply-adds, the decoupled form
    `channels · H·W · (K_H + K_W)`.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        positions = height * width
        self.weight = nn.Parameter(torch.randn(channels, positions, positions) / positions**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → attention map before the sigmoid, the same shape:
        a[c, p] = Σ_q F[c, p, q] · z[c, q] over all positions q."""
        return torch.einsum("cpq,ncq->ncp", self.weight, x.flatten(2)).view_as(x)


class GhostModule(nn.Module):
    """Ghost module (GhostNet, sec. 3.1); with DFC attention the GhostV2 module (fig. 5).

    A 1x1 convolution computes ceil(out / ratio) primary channels, and a depthwise convolution of
    these the rest, cut to `out_channels`. The attention reads the module's input. A module that
    adds is that of RepGhost (fig. 2d), with the names of its public checkpoints.
    """

    def __init__(
        self, in_channels: int, out_channels: int, spec: GhostModuleSpec, *, relu: bool
    ) -> None:
        super().__init__()
        primary = spec.primary_channels(out_channels)
        cheap = primary if spec.adds else primary * (spec.ratio - 1)
        self.out_channels = out_channels
        self.primary_conv = nn.Sequential(
            convolution(in_channels, primary),
            nn.BatchNorm2d(primary),
            nn.ReLU(inplace=True) if relu else nn.Sequential(),
        )
        self.cheap_operation = nn.Sequential(
            convolution(primary, cheap, spec.cheap_kernel, groups=primary),
            nn.BatchNorm2d(cheap),
            nn.ReLU(inplace=True) if relu and not spec.adds else nn.Sequential(),
        )
        self.fusion_bn = nn.Sequential(nn.BatchNorm2d(primary)) if spec.adds else None
        self.relu = nn.ReLU() if relu and spec.adds else nn.Identity()
        self.short_conv = (
            DFCAttention(in_channels, out_channels, spec.dfc) if spec.dfc is not None else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) → (N, out_channels, H, W)."""
        primary = self.primary_conv(x)
        out: Tensor = self.cheap_operation(primary)
        if self.fusion_bn is not None:
            out = self.relu(out + self.fusion_bn(primary))
        else:
            out = torch.cat([primary, out], dim=1)
        if out.shape[1] > self.out_channels:
            out = out[:, : self.out_channels]
        return out if self.short_conv is None else out * self.short_conv(x)


class GhostBottleneck(nn.Module):
    """Ghost bottleneck of GhostNet (fig. 3) and GhostNetV2 (fig. 5)."""

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

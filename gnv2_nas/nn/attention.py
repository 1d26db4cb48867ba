"""DFC attention, and the full attention it decouples."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gnv2_nas.arch import DFC
from gnv2_nas.nn.layers import convolution


class DFCAttention(nn.Sequential):
    """Decoupled fully connected attention (GhostNetV2, eq. 4-5, fig. 4b).

    Down-sampling, 1x1 convolution, 1 x K_W and K_H x 1 depthwise convolutions, each with batch
    norm, sigmoid on the small map, resize to the size of the features it multiplies. The six
    layers are the public checkpoints' `short_conv.0` … `short_conv.5`.
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
        # Other image sizes than the architecture's may be smaller than the factor.
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
    """Full attention of every position to every position (GhostNetV2, eq. 3), for comparison.

    Quadratic: `channels · (H·W)²` parameters and multiply-adds, against
    `channels · H·W · (K_H + K_W)` of the decoupled form.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        positions = height * width
        self.weight = nn.Parameter(torch.randn(channels, positions, positions) / positions**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → attention map before the sigmoid, the same shape.

        a[c, p] = Σ_q F[c, p, q] · z[c, q] over all positions q.
        """
        return torch.einsum("cpq,ncq->ncp", self.weight, x.flatten(2)).view_as(x)

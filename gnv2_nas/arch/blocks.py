"""The blocks of a network as plain frozen data."""

from __future__ import annotations

from typing import Literal

import msgspec

Activation = Literal["relu", "hard_swish"]


class DFC(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Decoupled fully connected attention (GhostNetV2, eq. 4-5 and fig. 4)."""

    kernel_h: int = 5
    """Taps of the vertical K_H x 1 depthwise convolution; odd."""
    kernel_w: int = 5
    """Taps of the horizontal 1 x K_W depthwise convolution; odd."""
    factor: int = 2
    """Down-sampling factor of the attention map."""
    pool: Literal["avg", "max"] = "avg"
    """Operator that down-samples the input."""
    resize: Literal["nearest", "bilinear"] = "nearest"
    """Interpolation that up-samples the attention map. The public code uses nearest, the paper
    bilinear."""


class GhostModule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ghost module (GhostNet, sec. 3.1). A 1x1 convolution computes 1/`ratio` of the channels and
    a cheap depthwise convolution the rest. With `dfc`, this is the GhostV2 module."""

    ratio: int = 2
    cheap_kernel: int = 3
    dfc: DFC | None = None


class GhostBlock(
    msgspec.Struct, frozen=True, tag_field="type", tag="ghost", forbid_unknown_fields=True
):
    """Ghost bottleneck: Ghost module, depthwise convolution (stride 2 only), SE, Ghost module."""

    hidden_channels: int
    out_channels: int
    kernel: int = 3
    """Kernel of the stride-2 depthwise convolution and of a shortcut that changes shape."""
    stride: int = 1
    se_channels: int = 0
    """Bottleneck channels of squeeze-and-excitation; 0 means none."""
    ghost1: GhostModule = GhostModule()
    ghost2: GhostModule = GhostModule()


class MobileBlock(
    msgspec.Struct, frozen=True, tag_field="type", tag="mobile", forbid_unknown_fields=True
):
    """Inverted residual (MobileNetV3, fig. 4). It has no expansion if `hidden_channels` equals the
    number of input channels."""

    hidden_channels: int
    out_channels: int
    kernel: int = 3
    stride: int = 1
    se_channels: int = 0
    activation: Activation = "relu"


Block = GhostBlock | MobileBlock


def has_dfc(block: Block) -> bool:
    """Whether a Ghost module of the block has DFC attention."""
    if isinstance(block, MobileBlock):
        return False
    return block.ghost1.dfc is not None or block.ghost2.dfc is not None

"""Networks of convolutions one after another."""

from __future__ import annotations

from gnv2_nas.arch import Architecture, MobileBlock


def chain(*channels: int, resolution: int = 32, activation: str = "relu") -> Architecture:
    """No shortcut, no squeeze-and-excitation, no concatenation.

    Args:
        channels: of the stem, then of each block.
    """
    stem, *rest = channels
    return Architecture(
        blocks=tuple(MobileBlock(2 * out, out, kernel=3, stride=2) for out in rest),
        stem_channels=stem, conv_channels=4 * rest[-1], head_channels=8, num_classes=3,
        resolution=resolution, activation=activation,
    )  # fmt: skip

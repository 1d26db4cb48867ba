"""Networks of two blocks, which a runtime answers in microseconds."""

from __future__ import annotations

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, MobileBlock


def tiny_ghost(resolution: int = 32) -> Architecture:
    """Every operator of the GhostNetV2 family at least once."""
    attended = GhostModule(dfc=DFC(kernel_h=3, kernel_w=5, resize="bilinear"))
    return Architecture(
        blocks=(
            GhostBlock(12, 8, stride=2, se_channels=4, ghost1=GhostModule(dfc=DFC())),
            GhostBlock(16, 8, ghost1=GhostModule(ratio=3), ghost2=attended),
        ),
        stem_channels=8, conv_channels=24, head_channels=16, resolution=resolution, num_classes=5,
    )  # fmt: skip


def tiny_mobile(resolution: int = 32) -> Architecture:
    """Every operator of MobileNetV3 at least once."""
    return Architecture(
        blocks=(
            MobileBlock(16, 8, kernel=5, stride=2, se_channels=4, activation="hard_swish"),
            MobileBlock(16, 8),
        ),
        stem_channels=8, conv_channels=24, head_channels=16, activation="hard_swish",
        resolution=resolution, num_classes=5,
    )  # fmt: skip

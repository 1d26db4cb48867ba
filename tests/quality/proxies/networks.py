"""Two small networks that between them have every operator of the family."""

from __future__ import annotations

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, MobileBlock

GHOST = Architecture(
    blocks=(
        GhostBlock(24, 16, stride=2, se_channels=4, ghost1=GhostModule(dfc=DFC())),
        GhostBlock(24, 16),
    ),
    stem_channels=8, conv_channels=32, head_channels=16, num_classes=3, resolution=33,
)  # fmt: skip
MOBILE = GHOST.replace(
    blocks=(MobileBlock(24, 8, stride=2, se_channels=4, activation="hard_swish"),),
    activation="hard_swish",
)

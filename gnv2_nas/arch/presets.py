"""The published networks: GhostNet, GhostNetV2, MobileNetV3-Large and RepGhostNet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial

from gnv2_nas.arch.architecture import Architecture
from gnv2_nas.arch.blocks import DFC, Activation, GhostBlock, GhostModule, MobileBlock
from gnv2_nas.errors import UnknownNameError

# GhostNet, table 1: kernel, hidden channels, output channels, SE ratio, stride. One row per block.
GHOSTNET_BLOCKS = (
    (3, 16, 16, 0, 1),
    (3, 48, 24, 0, 2),
    (3, 72, 24, 0, 1),
    (5, 72, 40, 0.25, 2),
    (5, 120, 40, 0.25, 1),
    (3, 240, 80, 0, 2),
    (3, 200, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 480, 112, 0.25, 1),
    (3, 672, 112, 0.25, 1),
    (5, 672, 160, 0.25, 2),
    (5, 960, 160, 0, 1),
    (5, 960, 160, 0.25, 1),
    (5, 960, 160, 0, 1),
    (5, 960, 160, 0.25, 1),
)
GHOSTNETV2_FIRST_DFC_BLOCK = 2

# RepGhostNet's public code: half of GhostNet's hidden channels, but more in blocks 7 and 8.
REPGHOSTNET_HIDDEN = (8, 24, 36, 36, 60, 120, 100, 120, 120, 240, 336, 336, 480, 480, 480, 480)
REPGHOSTNET_WIDTHS = (0.5, 0.58, 0.8, 1.0, 1.11, 1.3, 1.5, 2.0)

# MobileNetV3, table 1: kernel, expansion ratio, output channels, SE, activation, stride.
MOBILENETV3_LARGE_BLOCKS: tuple[tuple[int, float, int, bool, Activation, int], ...] = (
    (3, 1, 16, False, "relu", 1),
    (3, 4, 24, False, "relu", 2),
    (3, 3, 24, False, "relu", 1),
    (5, 3, 40, True, "relu", 2),
    (5, 3, 40, True, "relu", 1),
    (5, 3, 40, True, "relu", 1),
    (3, 6, 80, False, "hard_swish", 2),
    (3, 2.5, 80, False, "hard_swish", 1),
    (3, 2.3, 80, False, "hard_swish", 1),
    (3, 2.3, 80, False, "hard_swish", 1),
    (3, 6, 112, True, "hard_swish", 1),
    (3, 6, 112, True, "hard_swish", 1),
    (5, 6, 160, True, "hard_swish", 2),
    (5, 6, 160, True, "hard_swish", 1),
    (5, 6, 160, True, "hard_swish", 1),
)


def make_divisible(value: float, divisor: int) -> int:
    """The nearest positive multiple of `divisor` that is at least 0.9 x `value`, as in the
    published code of MobileNet and GhostNet."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def ghostnet(width: float, *, dfc: bool) -> Architecture:
    """GhostNet (`dfc=False`) or GhostNetV2 at a width multiplier, 224 pixels, 1000 classes."""
    first = GHOSTNETV2_FIRST_DFC_BLOCK if dfc else len(GHOSTNET_BLOCKS)
    modules = [
        (GhostModule(dfc=DFC() if index >= first else None), GhostModule())
        for index in range(len(GHOSTNET_BLOCKS))
    ]
    return _stack_blocks(width, [hidden for _, hidden, *_ in GHOSTNET_BLOCKS], modules)


def repghostnet(width: float) -> Architecture:
    """RepGhostNet at a width multiplier, 224 pixels, 1000 classes."""
    module = GhostModule(merge="add")
    return _stack_blocks(width, REPGHOSTNET_HIDDEN, [(module, module)] * len(GHOSTNET_BLOCKS))


def _stack_blocks(
    width: float, hiddens: Sequence[int], modules: Sequence[tuple[GhostModule, GhostModule]]
) -> Architecture:
    """The blocks of GhostNet with other hidden channels and modules."""
    blocks = []
    for (kernel, _, out, se_ratio, stride), hidden, (first, second) in zip(
        GHOSTNET_BLOCKS, hiddens, modules, strict=True
    ):
        hidden_channels = make_divisible(hidden * width, 4)
        block = GhostBlock(
            kernel=kernel,
            stride=stride,
            hidden_channels=hidden_channels,
            out_channels=make_divisible(out * width, 4),
            se_channels=make_divisible(hidden_channels * se_ratio, 4) if se_ratio else 0,
            ghost1=first,
            ghost2=second,
        )
        blocks.append(block)
    return Architecture(
        blocks=tuple(blocks),
        stem_channels=make_divisible(16 * width, 4),
        conv_channels=make_divisible(960 * width, 4),
    )


def mobilenetv3_large(width: float) -> Architecture:
    """MobileNetV3-Large at a width multiplier, 224 pixels, 1000 classes."""
    channels = make_divisible(16 * width, 8)
    stem_channels = channels
    blocks = []
    for kernel, ratio, out, se, activation, stride in MOBILENETV3_LARGE_BLOCKS:
        hidden_channels = make_divisible(channels * ratio, 8)
        channels = make_divisible(out * width, 8)
        block = MobileBlock(
            kernel=kernel,
            stride=stride,
            hidden_channels=hidden_channels,
            out_channels=channels,
            se_channels=make_divisible(hidden_channels / 4, 8) if se else 0,
            activation=activation,
        )
        blocks.append(block)
    return Architecture(
        blocks=tuple(blocks),
        stem_channels=stem_channels,
        conv_channels=make_divisible(960 * width, 8),
        activation="hard_swish",
    )


_Build = Callable[[float], Architecture]
_FAMILIES: dict[str, tuple[_Build, tuple[float, ...]]] = {
    "ghostnet": (partial(ghostnet, dfc=False), (1.0,)),
    "ghostnetv2": (partial(ghostnet, dfc=True), (1.0, 1.3, 1.6)),
    "mobilenetv3-large": (mobilenetv3_large, (0.75, 1.0)),
    "repghostnet": (repghostnet, REPGHOSTNET_WIDTHS),
}
"""Family → from a width multiplier to the network, and the published widths."""
_PRESETS: dict[str, tuple[_Build, float]] = {
    f"{family}-{width}": (build, width)
    for family, (build, widths) in _FAMILIES.items()
    for width in widths
}
STOCK = tuple(name for name in _PRESETS if not name.startswith("repghostnet"))
"""Names of those that every study contains and that `profile` shows by default."""
FIRST_OF_FAMILIES = tuple(f"{family}-1.0" for family in _FAMILIES)
"""Names of the networks that others of their family are scaled from."""


def list_presets() -> list[str]:
    """Names of the published networks, the smallest of each family first."""
    return list(_PRESETS)


@cache
def preset(name: str) -> Architecture:
    """The published network of that name.

    Raises:
        UnknownNameError: no such preset; the message lists all names.
    """
    return scale_preset(name, 1.0)


def scale_preset(name: str, width: float) -> Architecture:
    """The published network of that name with `width` times its channels, at 224 pixels.

    As in the published families, the 1280 channels of the head stay.

    Raises:
        UnknownNameError: no such preset; the message lists all names.
    """
    if name not in _PRESETS:
        raise UnknownNameError("preset", name, _PRESETS)
    build, published = _PRESETS[name]
    return build(published * width)

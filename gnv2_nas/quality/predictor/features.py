"""Features of an architecture for the accuracy predictor.

There is a column for each property that a space may vary, in each block, and one for its mean over
the network, so that a few dozen networks suffice to learn what blocks have in common. Sizes are
logarithms, because each doubling changes accuracy by about the same amount. A missing property (a
left-out block, the kernel of a left-out attention) is NaN, which the fit replaces by the mean.

Totals cover the 1x1 convolutions only, which make up most of a network: an exact count would take
longer than all other features.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import contains
from typing import cast

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, SupernetSpec, output_side
from gnv2_nas.arch.supernet_spec import find_stages

BLOCK_COLUMNS = (
    "present", "hidden_channels", "out_channels", "se_channels", "kernel", "ratio", "cheap_kernel",
    "attention_first", "attention_second", "dfc_kernel_h", "dfc_kernel_w", "dfc_factor",
    "dfc_max_pool", "dfc_bilinear",
)  # fmt: skip
"""Columns of each block; channels, ratios and factors are logarithms to base 2."""
NETWORK_COLUMNS = ("resolution", "blocks", "stem_channels", "conv_channels", "macs", "params")
"""Columns of the whole network, all logarithms to base 2."""

_LOGARITHMS = [
    BLOCK_COLUMNS.index(name) for name in ("hidden_channels", "out_channels", "ratio", "dfc_factor")
]
_SE_CHANNELS = BLOCK_COLUMNS.index("se_channels")
_NAN = float("nan")
_NO_ATTENTION = (0, 0, _NAN, _NAN, _NAN, _NAN, _NAN)

Matrix = NDArray[np.float64]


def column_names(supernet_spec: SupernetSpec) -> list[str]:
    """Names of the columns of `features`: "hidden_channels.block3", "kernel.mean", "macs"."""
    places = [*(f"block{position}" for position in range(len(supernet_spec.blocks))), "mean"]
    return [f"{name}.{place}" for place in places for name in BLOCK_COLUMNS] + [*NETWORK_COLUMNS]


def features(architectures: Sequence[Architecture], supernet_spec: SupernetSpec) -> Matrix:
    """Compute the features: one row a network, NaN for missing properties.

    Raises:
        InputError: an architecture has other blocks than the supernet. One that merely has more
            channels or larger kernels is let through: checking that would take longer than the
            rest.
    """
    blocks: list[tuple[float, ...]] = []
    networks: list[tuple[float, ...]] = []
    rows: list[int] = []
    positions: list[int] = []
    for row, arch in enumerate(architectures):
        positions += _positions(arch, supernet_spec)
        rows += [row] * len(arch.blocks)
        networks.append(_network(arch, blocks))
    by_block = np.full((len(architectures), len(supernet_spec.blocks), len(BLOCK_COLUMNS)), np.nan)
    by_block[:, :, 0] = 0
    by_block[rows, positions] = _take_logarithms(np.array(blocks, dtype=np.float64))
    flat = by_block.reshape(len(architectures), -1)
    return np.hstack([flat, _means(by_block), np.log2(np.array(networks, dtype=np.float64))])


def _positions(arch: Architecture, supernet_spec: SupernetSpec) -> Sequence[int]:
    """The position of each block."""
    depths = [len(stage) for stage in find_stages(arch.blocks)]
    stages, mobile = supernet_spec.positions_by_depth, arch.family == "mobilenetv3"
    if len(depths) != len(stages) or not all(map(contains, stages, depths)) or mobile:
        return supernet_spec.find_positions(arch)  # raises, with the reason
    return [
        position for stage, depth in zip(stages, depths, strict=True) for position in stage[depth]
    ]


def _network(arch: Architecture, blocks: list[tuple[float, ...]]) -> tuple[float, ...]:
    """Compute the columns of a network; append those of its blocks to `blocks`."""
    side, channels = output_side(arch.resolution, 2), arch.stem_channels
    macs = params = 0.0
    for block in cast(tuple[GhostBlock, ...], arch.blocks):
        blocks.append(_block(block))
        params, macs = _add(params, macs, block.ghost1, channels * block.hidden_channels, side)
        side, channels = output_side(side, block.stride), block.out_channels
        params, macs = _add(params, macs, block.ghost2, block.hidden_channels * channels, side)
    last = channels * arch.conv_channels
    return (
        arch.resolution, len(arch.blocks), arch.stem_channels, arch.conv_channels,
        macs + last * side * side, params + last,
    )  # fmt: skip


def _add(
    params: float, macs: float, module: GhostModule, weights: int, side: int
) -> tuple[float, float]:
    """Add the 1x1 convolutions of a Ghost module to the totals.

    Args:
        weights: number of weights of a full 1x1 convolution with the module's inputs and outputs.
        side: width of the module's map, pixels.
    """
    primary, pixels = weights / _ratio(module), side * side
    if module.dfc is None:
        return params + primary, macs + primary * pixels
    small = (side // module.dfc.factor) ** 2
    return params + primary + weights, macs + primary * pixels + weights * small


def _block(block: GhostBlock) -> tuple[float, ...]:
    """Values of `BLOCK_COLUMNS`, before logarithms are taken."""
    first, second = block.ghost1, block.ghost2
    dfc = first.dfc or second.dfc
    attention = _NO_ATTENTION if dfc is None else _attention(dfc, first.dfc, second.dfc)
    return (
        1, block.hidden_channels, block.out_channels, block.se_channels, block.kernel,
        _ratio(first), first.cheap_kernel, *attention,
    )  # fmt: skip


def _attention(dfc: DFC, first: DFC | None, second: DFC | None) -> tuple[float, ...]:
    return (
        first is not None, second is not None, dfc.kernel_h, dfc.kernel_w, dfc.factor,
        dfc.pool == "max", dfc.resize == "bilinear",
    )  # fmt: skip


def _ratio(module: GhostModule) -> int:
    """Output channels over those of the 1x1 convolution; a RepGhost module's computes all."""
    return 1 if module.adds else module.ratio


def _take_logarithms(blocks: Matrix) -> Matrix:
    blocks[:, _LOGARITHMS] = np.log2(blocks[:, _LOGARITHMS])
    blocks[:, _SE_CHANNELS] = np.log2(1 + blocks[:, _SE_CHANNELS])
    return blocks


def _means(by_block: Matrix) -> Matrix:
    """Mean of each column over the blocks that have it; NaN if none has."""
    known = ~np.isnan(by_block)
    sums = np.where(known, by_block, 0).sum(axis=1)
    with np.errstate(invalid="ignore"):
        means: Matrix = sums / known.sum(axis=1)
    return means

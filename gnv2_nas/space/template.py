"""The base network as a template: its stages, and the values of axes that a space does not vary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from gnv2_nas.arch import (
    DFC,
    Architecture,
    GhostBlock,
    find_stages,
    is_identity_shortcut,
    list_presets,
    preset,
)
from gnv2_nas.space.genes import Value

BASES = tuple(name for name in list_presets() if name.startswith("ghostnet"))
"""Presets made of Ghost blocks only."""

PUBLISHED_SE_RATIO = 0.25
"""SE ratio of all published Ghost networks; their blocks hold only the rounded channels."""


@dataclass(frozen=True)
class TemplateBlock:
    """A block of the base network, before width and rounding."""

    in_channels: int
    out_channels: int
    stride: int
    keeps_shape: bool
    """Whether stride is 1 and channels do not change, so that it can be removed or repeated."""
    stock: Mapping[str, Value]
    """Axis → value in the base network."""


@dataclass(frozen=True)
class Template:
    """A Ghost network and the blocks of its stages."""

    base: Architecture
    blocks: tuple[TemplateBlock, ...]
    stages: tuple[tuple[int, ...], ...]

    def depth_range(self, stage: int) -> range:
        """The changes of depth that leave at least one block in stage `stage` (from 0)."""
        members = self.stages[stage]
        spare = sum(self.blocks[index].keeps_shape for index in members)
        return range(-min(spare, len(members) - 1), 17 if spare else 1)

    def positions(self, stage: int, depth: int) -> tuple[int, ...]:
        """The blocks of a stage at a depth. Fewer blocks: those that keep the shape are removed,
        the last one first. More blocks: the last of them is repeated."""
        members = self.stages[stage]
        spare = [index for index in members if self.blocks[index].keeps_shape]
        if depth >= 0:
            return tuple(sorted((*members, *spare[-1:] * depth)))
        return tuple(index for index in members if index not in spare[depth:])


def build_template(name: str) -> Template:
    """The template of one of `BASES`."""
    base = preset(name)
    channels = base.stem_channels
    blocks = []
    for block in cast(tuple[GhostBlock, ...], base.blocks):
        blocks.append(
            TemplateBlock(
                in_channels=channels,
                out_channels=block.out_channels,
                stride=block.stride,
                keeps_shape=is_identity_shortcut(block, channels),
                stock=_stock(base, block, channels),
            )
        )
        channels = block.out_channels
    return Template(base, tuple(blocks), find_stages(base.blocks))


def placement_of(block: GhostBlock) -> str:
    """Which Ghost modules of `block` carry DFC attention."""
    first, second = block.ghost1.dfc is not None, block.ghost2.dfc is not None
    if first and second:
        return "both"
    return "first" if first else "second" if second else "none"


def _stock(base: Architecture, block: GhostBlock, in_channels: int) -> dict[str, Value]:
    dfc = block.ghost1.dfc or DFC()
    return {
        "width": 1.0,
        "divisor": 4,
        "resolution": base.resolution,
        "depth": 0,
        "expansion": block.hidden_channels / in_channels,
        "placement": placement_of(block),
        "dfc_kernel_h": dfc.kernel_h,
        "dfc_kernel_w": dfc.kernel_w,
        "dfc_factor": dfc.factor,
        "dfc_pool": dfc.pool,
        "dfc_resize": dfc.resize,
        "kernel": block.kernel,
        "se_ratio": PUBLISHED_SE_RATIO if block.se_channels else 0.0,
        "ghost_ratio": block.ghost1.ratio,
        "cheap_kernel": block.ghost1.cheap_kernel,
    }

"""`Decoder`: values of all genes → `Architecture`.

A search decodes a hundred thousand genotypes, so the constructor prepares everything that does not
depend on the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, cast

from msgspec import UNSET

from gnv2_nas.arch import DFC, Architecture, GhostBlock, GhostModule, make_divisible
from gnv2_nas.space.genes import Gene, Merge, Pool, Resize, Template, TemplateBlock, Value

SE_DIVISOR = 4
"""Divisor of squeeze-and-excitation channels. They work on a 1x1 map, where larger multiples gain
nothing."""


class ModuleValues(NamedTuple):
    """Values of a block's two Ghost modules."""

    placement: str
    dfc_kernel_h: int
    dfc_kernel_w: int
    dfc_factor: int
    dfc_pool: Pool
    dfc_resize: Resize
    ghost: Merge
    ghost_ratio: int
    cheap_kernel: int


class BlockValues(NamedTuple):
    """All other values of a block."""

    width: float
    divisor: int
    expansion: float
    kernel: int
    se_ratio: float


class Decoder:
    """Builds a network from a list with one value per gene, in the order of `genes`."""

    def __init__(self, template: Template, num_classes: int, genes: Sequence[Gene]) -> None:
        self._template = template
        self._num_classes = num_classes
        position = index_genes(genes)
        blocks = range(len(template.blocks))
        self._modules = [_getter(ModuleValues, position, index) for index in blocks]
        self._blocks = [_getter(BlockValues, position, index) for index in blocks]
        self._positions = [
            (
                position["depth", members[0]],
                {depth: template.positions(stage, depth) for depth in template.depth_range(stage)},
            )
            for stage, members in enumerate(template.stages)
        ]
        self._divisor = position["divisor", 0]
        self._resolution = position["resolution", 0]
        self._first_width = position["width", 0]
        self._last_width = position["width", blocks[-1]]

    def __call__(self, values: Sequence[Any]) -> Architecture:
        base, divisor = self._template.base, values[self._divisor]
        blocks = [
            self._block(index, values)
            for gene, positions in self._positions
            for index in positions[values[gene]]
        ]
        return Architecture(
            blocks=tuple(blocks),
            stem_channels=make_divisible(base.stem_channels * values[self._first_width], divisor),
            conv_channels=make_divisible(base.conv_channels * values[self._last_width], divisor),
            head_channels=base.head_channels,
            activation=base.activation,
            resolution=values[self._resolution],
            num_classes=self._num_classes,
        )

    def _block(self, index: int, values: Sequence[Any]) -> GhostBlock:
        template = self._template.blocks[index]
        chosen = BlockValues._make(self._blocks[index](values))
        hidden = hidden_channels(template, chosen.expansion, chosen.width, chosen.divisor)
        ghost1, ghost2 = _ghost_modules(*self._modules[index](values))
        return GhostBlock(
            hidden_channels=hidden,
            out_channels=make_divisible(template.out_channels * chosen.width, chosen.divisor),
            kernel=chosen.kernel,
            stride=template.stride,
            se_channels=se_channels(hidden, chosen.se_ratio),
            ghost1=ghost1,
            ghost2=ghost2,
        )


def index_genes(genes: Sequence[Gene]) -> dict[tuple[str, int], int]:
    """(axis, block) → index of its gene in `genes`."""
    return {
        (gene.axis, index): position for position, gene in enumerate(genes) for index in gene.blocks
    }


def hidden_channels(template: TemplateBlock, expansion: float, width: float, divisor: int) -> int:
    """Hidden channels of a block, rounded once after the width, as in the papers' code: 2.3 x 80
    channels are 184."""
    return make_divisible(round(expansion * template.in_channels, 6) * width, divisor)


def se_channels(hidden: int, ratio: float) -> int:
    """Bottleneck channels of squeeze-and-excitation; 0 means none."""
    return make_divisible(hidden * ratio, SE_DIVISOR) if ratio else 0


def _getter(fields: type[NamedTuple], position: dict[tuple[str, int], int], index: int) -> Any:
    return itemgetter(*(position[axis, index] for axis in fields._fields))


@lru_cache(maxsize=1 << 14)
def _ghost_modules(*values: Value) -> tuple[GhostModule, GhostModule]:
    chosen = ModuleValues._make(cast(Any, values))
    dfc = DFC(
        kernel_h=chosen.dfc_kernel_h,
        kernel_w=chosen.dfc_kernel_w,
        factor=chosen.dfc_factor,
        pool=chosen.dfc_pool,
        resize=chosen.dfc_resize,
    )
    merge = UNSET if chosen.ghost == "concat" else chosen.ghost
    plain = GhostModule(chosen.ghost_ratio, chosen.cheap_kernel, merge=merge)
    attentive = GhostModule(chosen.ghost_ratio, chosen.cheap_kernel, dfc, merge)
    return (
        attentive if chosen.placement in ("first", "both") else plain,
        attentive if chosen.placement in ("second", "both") else plain,
    )

"""The `SupernetSpec` of a search space: the smallest supernet that contains all its networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from msgspec import UNSET

from gnv2_nas.arch import BlockSpec, GhostSpec, SupernetSpec, make_divisible
from gnv2_nas.space.decoding import hidden_channels, se_channels
from gnv2_nas.space.genes import Gene, Template, TemplateBlock

_Choices = Mapping[str, Sequence[Any]]
"""Axis → its choices for one block."""


def build_supernet_spec(
    template: Template, num_classes: int, genes: Sequence[Gene]
) -> SupernetSpec:
    """The supernet specification of all networks of `genes`.

    Rounding to a divisor is not monotone, so this tries all combinations of width, divisor and
    expansion. The canonical form of a network never has larger values than its genes.

    Args:
        template: the base network.
        num_classes: number of classes.
        genes: exactly one for each axis of each block.
    """
    choices: list[_Choices] = [
        {gene.axis: gene.choices for gene in genes if index in gene.blocks}
        for index in range(len(template.blocks))
    ]
    stages = [
        [template.positions(stage, depth) for depth in choices[members[0]]["depth"]]
        for stage, members in enumerate(template.stages)
    ]
    repeats: Counter[int] = Counter()
    for depths in stages:
        for members in depths:
            repeats |= Counter(members)
    counts = [repeats[index] for index in range(len(template.blocks))]
    first = {index: sum(counts[:index]) for index in range(len(counts))}
    base = template.base
    return SupernetSpec(
        stem_channels=_widest(base.stem_channels, choices[0]),
        conv_channels=_widest(base.conv_channels, choices[-1]),
        head_channels=base.head_channels,
        num_classes=num_classes,
        activation=base.activation,
        resolutions=tuple(sorted(choices[0]["resolution"])),
        blocks=tuple(
            spec
            for block, chosen, count in zip(template.blocks, choices, counts, strict=True)
            for spec in [_block(block, chosen)] * count
        ),
        positions_by_depth=tuple(
            {len(members): _positions(members, first) for members in depths} for depths in stages
        ),
    )


def _positions(members: Sequence[int], first: Mapping[int, int]) -> tuple[int, ...]:
    """The positions of a stage's blocks: each repeat of a block has its own."""
    return tuple(
        first[index] + members[:number].count(index) for number, index in enumerate(members)
    )


def _block(block: TemplateBlock, chosen: _Choices) -> BlockSpec:
    hidden = {
        hidden_channels(block, expansion, width, divisor)
        for expansion, width, divisor in product(
            chosen["expansion"], chosen["width"], chosen["divisor"]
        )
    }
    return BlockSpec(
        hidden_channels=max(hidden),
        out_channels=_widest(block.out_channels, chosen),
        kernel=max(chosen["kernel"]),
        stride=block.stride,
        se_channels=max(se_channels(*each) for each in product(hidden, chosen["se_ratio"])),
        projects=_projects(block, chosen),
        ghost1=_ghost_module(chosen, "first"),
        ghost2=_ghost_module(chosen, "second"),
    )


def _ghost_module(chosen: _Choices, placement: str) -> GhostSpec:
    attends = any(where in (placement, "both") for where in chosen["placement"])
    merges, ratios = tuple(chosen["ghost"]), set(chosen["ghost_ratio"])
    if "add" in merges:
        ratios = ratios | {2} if "concat" in merges else {2}
    return GhostSpec(
        ratios=tuple(sorted(ratios)),
        merges=UNSET if merges == ("concat",) else merges,
        cheap_kernel=max(chosen["cheap_kernel"]),
        dfc_kernel_h=max(chosen["dfc_kernel_h"]) if attends else 0,
        dfc_kernel_w=max(chosen["dfc_kernel_w"]) if attends else 0,
    )


def _projects(block: TemplateBlock, chosen: _Choices) -> bool:
    """Whether the shortcut ever needs weights, because stride or channels change."""
    return block.stride == 2 or any(
        make_divisible(block.in_channels * width, divisor)
        != make_divisible(block.out_channels * width, divisor)
        for width, divisor in product(chosen["width"], chosen["divisor"])
    )


def _widest(channels: int, chosen: _Choices) -> int:
    return max(
        make_divisible(channels * width, divisor)
        for width, divisor in product(chosen["width"], chosen["divisor"])
    )

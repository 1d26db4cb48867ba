"""The `Envelope` of a search space: what a supernet must hold to contain all of its networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from gnv2_nas.arch import Envelope, GhostEnvelope, SlotEnvelope, make_divisible
from gnv2_nas.space.decoding import hidden_channels, se_channels
from gnv2_nas.space.genes import Gene
from gnv2_nas.space.template import Template, TemplateBlock

_Choices = Mapping[str, Sequence[Any]]
"""Axis → the choices of one block."""


def envelope_of(template: Template, num_classes: int, genes: Sequence[Gene]) -> Envelope:
    """The envelope of the networks that `genes`, one for each axis of each block, describe.

    Rounding to a divisor is not monotone, so all combinations of width, divisor and expansion are
    tried. The canonical form of a network only makes things smaller.
    """
    choices = [_choices_of(genes, index) for index in range(len(template.blocks))]
    depths = [choices[members[0]]["depth"] for members in template.stages]
    repeats = _repeats(template, depths)
    first_slot = {index: sum(repeats[:index]) for index in range(len(repeats))}
    base = template.base
    return Envelope(
        stem_channels=_widest(base.stem_channels, choices[0]),
        conv_channels=_widest(base.conv_channels, choices[-1]),
        head_channels=base.head_channels,
        num_classes=num_classes,
        activation=base.activation,
        resolutions=tuple(sorted(choices[0]["resolution"])),
        slots=tuple(
            slot
            for block, chosen, copies in zip(template.blocks, choices, repeats, strict=True)
            for slot in [_slot(block, chosen)] * copies
        ),
        layouts=tuple(
            {
                len(members): _slots(members, first_slot)
                for members in (template.layout(stage, depth) for depth in stage_depths)
            }
            for stage, stage_depths in enumerate(depths)
        ),
    )


def _choices_of(genes: Sequence[Gene], index: int) -> _Choices:
    return {gene.axis: gene.choices for gene in genes if index in gene.blocks}


def _repeats(template: Template, depths: Sequence[Sequence[Any]]) -> list[int]:
    """How often each block of the template stands in a network, at most."""
    most: Counter[int] = Counter()
    for stage, stage_depths in enumerate(depths):
        for depth in stage_depths:
            most |= Counter(template.layout(stage, depth))
    return [most[index] for index in range(len(template.blocks))]


def _slots(members: Sequence[int], first_slot: Mapping[int, int]) -> tuple[int, ...]:
    """The slots of a layout: each repeat of a block has one of its own."""
    return tuple(
        first_slot[index] + members[:position].count(index)
        for position, index in enumerate(members)
    )


def _slot(block: TemplateBlock, chosen: _Choices) -> SlotEnvelope:
    hidden = {
        hidden_channels(block, expansion, width, divisor)
        for expansion, width, divisor in product(
            chosen["expansion"], chosen["width"], chosen["divisor"]
        )
    }
    return SlotEnvelope(
        hidden_channels=max(hidden),
        out_channels=_widest(block.out_channels, chosen),
        kernel=max(chosen["kernel"]),
        stride=block.stride,
        se_channels=max(se_channels(*each) for each in product(hidden, chosen["se_ratio"])),
        projects=_projects(block, chosen),
        ghost1=_ghost_module(chosen, "first"),
        ghost2=_ghost_module(chosen, "second"),
    )


def _ghost_module(chosen: _Choices, placement: str) -> GhostEnvelope:
    attends = any(where in (placement, "both") for where in chosen["placement"])
    return GhostEnvelope(
        ratios=tuple(sorted(chosen["ghost_ratio"])),
        cheap_kernel=max(chosen["cheap_kernel"]),
        dfc_kernel_h=max(chosen["dfc_kernel_h"]) if attends else 0,
        dfc_kernel_w=max(chosen["dfc_kernel_w"]) if attends else 0,
    )


def _projects(block: TemplateBlock, chosen: _Choices) -> bool:
    """Whether a network has other channels after the block than before; both have its width."""
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

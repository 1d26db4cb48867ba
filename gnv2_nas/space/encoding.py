"""From an `Architecture` back to a genotype: the inverse of decoding.

Every gene but those of channels is read off by itself: a choice fits when writing it into the
network's blocks changes nothing once they are canonical. See `channels` for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from msgspec.structs import replace

from gnv2_nas.arch import Architecture, GhostBlock, GhostModule, stages_of, strided
from gnv2_nas.space.axes import Value
from gnv2_nas.space.channels import CHANNEL_AXES, ChannelFit, preferred
from gnv2_nas.space.decoding import se_channels
from gnv2_nas.space.genes import Gene
from gnv2_nas.space.template import Template, placement_of


class _Seen(NamedTuple):
    """A block of the network to encode, with the input it reads."""

    block: GhostBlock
    in_channels: int
    side: int


_SeenAt = Mapping[int, Sequence[_Seen]]
"""Block of the template → the blocks of the network that came from it."""


def encode(
    template: Template, genes: Sequence[Gene], arch: Architecture
) -> dict[Gene, Value] | None:
    """A value for each gene, or None when some value of `arch` fits no choice.

    A gene that makes no difference gets the stock value where that is a choice. What no gene
    decides is not compared: decode the answer to make sure of it.
    """
    if not all(isinstance(block, GhostBlock) for block in arch.blocks):
        return None
    depths = _depths(template, genes, arch)
    if depths is None:
        return None
    seen = _align(template, depths, arch)
    found: dict[Gene, Value] = dict(depths)
    for gene in genes:
        if gene.axis == "depth" or gene.axis in CHANNEL_AXES:
            continue
        fitting = [choice for choice in gene.choices if _fits(gene, choice, seen, arch)]
        if not fitting:
            return None
        found[gene] = preferred(template, gene, fitting)
    blocks = {index: [each.block for each in seen[index]] for index in seen}
    channels = ChannelFit(template, genes, blocks, arch).solve()
    return None if channels is None else found | channels


def _depths(
    template: Template, genes: Sequence[Gene], arch: Architecture
) -> dict[Gene, int] | None:
    stages = stages_of(arch.blocks)
    if len(stages) != len(template.stages):
        return None
    depths = {
        gene: len(members) - len(stock)
        for gene, members, stock in zip(
            (gene for gene in genes if gene.axis == "depth"), stages, template.stages, strict=True
        )
    }
    return depths if all(depth in gene.choices for gene, depth in depths.items()) else None


def _align(
    template: Template, depths: Mapping[Gene, int], arch: Architecture
) -> dict[int, list[_Seen]]:
    origins = (
        index
        for stage, depth in enumerate(depths.values())
        for index in template.layout(stage, depth)
    )
    seen: dict[int, list[_Seen]] = {index: [] for index in range(len(template.blocks))}
    for origin, each in zip(origins, _walk(arch), strict=True):
        seen[origin].append(each)
    return seen


def _walk(arch: Architecture) -> Iterator[_Seen]:
    channels, side = arch.stem_channels, strided(arch.resolution, 2)
    for block in cast(tuple[GhostBlock, ...], arch.blocks):
        yield _Seen(block, channels, side)
        channels, side = block.out_channels, strided(side, block.stride)


def _fits(gene: Gene, choice: Value, seen: _SeenAt, arch: Architecture) -> bool:
    if gene.axis == "resolution":
        return choice == arch.resolution
    return all(_unchanged(gene.axis, choice, each) for index in gene.blocks for each in seen[index])


def _unchanged(axis: str, choice: Value, seen: _Seen) -> bool:
    """Whether the block is the same network with `choice` written into it."""
    if axis == "placement":
        return placement_of(seen.block) == choice
    changed = _WRITE[axis](seen.block, choice)
    return changed == seen.block or _canonical(changed, seen) == seen.block


def _canonical(block: GhostBlock, seen: _Seen) -> object:
    """`block` in canonical form: alone behind a stem that gives it the input it had."""
    alone = Architecture((block,), stem_channels=seen.in_channels, resolution=2 * seen.side - 1)
    return alone.blocks[0]


_Write = Callable[[GhostBlock, Any], GhostBlock]


def _both_modules(change: Callable[[GhostModule, Any], GhostModule]) -> _Write:
    return lambda block, choice: replace(
        block, ghost1=change(block.ghost1, choice), ghost2=change(block.ghost2, choice)
    )


def _module_field(field: str) -> _Write:
    return _both_modules(lambda module, choice: replace(module, **{field: choice}))


def _dfc_field(field: str) -> _Write:
    def change(module: GhostModule, choice: Any) -> GhostModule:
        if module.dfc is None:
            return module
        return replace(module, dfc=replace(module.dfc, **{field: choice}))

    return _both_modules(change)


_WRITE: Mapping[str, _Write] = MappingProxyType(
    {
        "dfc_kernel_h": _dfc_field("kernel_h"),
        "dfc_kernel_w": _dfc_field("kernel_w"),
        "dfc_factor": _dfc_field("factor"),
        "dfc_pool": _dfc_field("pool"),
        "dfc_resize": _dfc_field("resize"),
        "kernel": lambda block, choice: replace(block, kernel=choice),
        "se_ratio": lambda block, choice: replace(
            block, se_channels=se_channels(block.hidden_channels, choice)
        ),
        "ghost_ratio": _module_field("ratio"),
        "cheap_kernel": _module_field("cheap_kernel"),
    }
)

"""`encode`: `Architecture` → genotype, the inverse of decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from msgspec import UNSET
from msgspec.structs import replace

from gnv2_nas.arch import (
    Architecture,
    GhostBlock,
    GhostModule,
    find_stages,
    make_divisible,
    output_side,
)
from gnv2_nas.space.decoding import hidden_channels, se_channels
from gnv2_nas.space.genes import Gene, Template, Value, placement_of

CHANNEL_AXES = ("width", "divisor", "expansion")


class ChannelSolver:
    """Finds widths, divisor and expansion ratios that give a network's channels.

    Rounding makes them depend on each other, so combinations are tried. Widths that cannot give
    the output channels or hidden channels are excluded first, which leaves few combinations.
    """

    def __init__(
        self,
        template: Template,
        genes: Sequence[Gene],
        blocks: Mapping[int, Sequence[GhostBlock]],
        arch: Architecture,
    ) -> None:
        self._template, self._blocks, self._arch = template, blocks, arch
        self._widths = [gene for gene in genes if gene.axis == "width"]
        self._divisors = [gene for gene in genes if gene.axis == "divisor"]
        self._expansions = [gene for gene in genes if gene.axis == "expansion"]

    def solve(self) -> dict[Gene, Value] | None:
        """A value for each channel gene; None if no choices give these channels."""
        for divisor in self._divisors[0].choices:
            possible = [
                [width for width in gene.choices if self._width_matches(gene, width, divisor)]
                for gene in self._widths
            ]
            for widths in product(*possible):
                found = dict(zip(self._widths, widths, strict=True))
                expansions = self._expand(found, divisor)
                if expansions is not None:
                    return {self._divisors[0]: divisor} | found | expansions
        return None

    def _width_matches(self, gene: Gene, width: Any, divisor: Any) -> bool:
        base, arch = self._template.base, self._arch
        pairs = [
            (self._template.blocks[index].out_channels, block.out_channels)
            for index in gene.blocks
            for block in self._blocks[index]
        ]
        if 0 in gene.blocks:
            pairs.append((base.stem_channels, arch.stem_channels))
        if len(self._template.blocks) - 1 in gene.blocks:
            pairs.append((base.conv_channels, arch.conv_channels))
        if any(make_divisible(stock * width, divisor) != has for stock, has in pairs):
            return False
        widths = dict.fromkeys(gene.blocks, width)
        return all(self._matching(other, widths, divisor) for other in self._expansions)

    def _expand(self, found: Mapping[Gene, Any], divisor: Any) -> dict[Gene, Value] | None:
        widths = {index: width for gene, width in found.items() for index in gene.blocks}
        expansions: dict[Gene, Value] = {}
        for gene in self._expansions:
            matching = self._matching(gene, widths, divisor)
            if not matching:
                return None
            expansions[gene] = prefer_stock(self._template, gene, matching)
        return expansions

    def _matching(self, gene: Gene, widths: Mapping[int, Any], divisor: Any) -> list[Value]:
        """Choices of an expansion gene that give the hidden channels of its blocks."""
        pairs = [
            (self._template.blocks[index], widths[index], block.hidden_channels)
            for index in gene.blocks
            if index in widths
            for block in self._blocks[index]
        ]
        return [
            choice
            for choice in gene.choices
            if all(
                hidden_channels(template, float(choice), width, divisor) == has
                for template, width, has in pairs
            )
        ]


def prefer_stock(template: Template, gene: Gene, matching: Iterable[Value]) -> Value:
    """The base network's value if it matches, else the first match."""
    choices = list(matching)
    stock = template.blocks[gene.blocks[0]].stock[gene.axis]
    return stock if stock in choices else choices[0]


class _PlacedBlock(NamedTuple):
    """A block of the network to encode, and the size of its input."""

    block: GhostBlock
    in_channels: int
    side: int


_PlacedBlocks = Mapping[int, Sequence[_PlacedBlock]]
"""Block of the template → the network's blocks that it produced."""


def encode(
    template: Template, genes: Sequence[Gene], arch: Architecture
) -> dict[Gene, Value] | None:
    """A value for each gene; None if a value of `arch` matches no choice.

    A gene without effect gets the base network's value if that is a choice. Values that no gene
    controls are not compared; decode the result to check them.
    """
    if not all(isinstance(block, GhostBlock) for block in arch.blocks):
        return None
    depths = _depths(template, genes, arch)
    if depths is None:
        return None
    placed = _align(template, depths, arch)
    found: dict[Gene, Value] = dict(depths)
    for gene in genes:
        if gene.axis == "depth" or gene.axis in CHANNEL_AXES:
            continue
        matching = [choice for choice in gene.choices if _matches(gene, choice, placed, arch)]
        if not matching:
            return None
        found[gene] = prefer_stock(template, gene, matching)
    blocks = {index: [each.block for each in placed[index]] for index in placed}
    channels = ChannelSolver(template, genes, blocks, arch).solve()
    return None if channels is None else found | channels


def _depths(
    template: Template, genes: Sequence[Gene], arch: Architecture
) -> dict[Gene, int] | None:
    stages = find_stages(arch.blocks)
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
) -> dict[int, list[_PlacedBlock]]:
    origins = (
        index
        for stage, depth in enumerate(depths.values())
        for index in template.positions(stage, depth)
    )
    placed: dict[int, list[_PlacedBlock]] = {index: [] for index in range(len(template.blocks))}
    for origin, each in zip(origins, _walk(arch), strict=True):
        placed[origin].append(each)
    return placed


def _walk(arch: Architecture) -> Iterator[_PlacedBlock]:
    channels, side = arch.stem_channels, output_side(arch.resolution, 2)
    for block in cast(tuple[GhostBlock, ...], arch.blocks):
        yield _PlacedBlock(block, channels, side)
        channels, side = block.out_channels, output_side(side, block.stride)


def _matches(gene: Gene, choice: Value, placed: _PlacedBlocks, arch: Architecture) -> bool:
    if gene.axis == "resolution":
        return choice == arch.resolution
    return all(
        _stays_equal(gene.axis, choice, each) for index in gene.blocks for each in placed[index]
    )


def _stays_equal(axis: str, choice: Value, placed: _PlacedBlock) -> bool:
    """Whether setting the axis to `choice` leaves the block unchanged."""
    if axis == "placement":
        return placement_of(placed.block) == choice
    changed = _WRITE[axis](placed.block, choice)
    return changed == placed.block or _canonical(changed, placed) == placed.block


def _canonical(block: GhostBlock, placed: _PlacedBlock) -> object:
    """`block` in canonical form, in a network that gives it the same input."""
    alone = Architecture((block,), stem_channels=placed.in_channels, resolution=2 * placed.side - 1)
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
        "ghost": _both_modules(
            lambda module, choice: replace(module, merge=UNSET if choice == "concat" else choice)
        ),
        "ghost_ratio": _module_field("ratio"),
        "cheap_kernel": _module_field("cheap_kernel"),
    }
)

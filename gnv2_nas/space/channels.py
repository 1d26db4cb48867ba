"""Which width, divisor and expansions give the channels that a network has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from gnv2_nas.arch import Architecture, GhostBlock, make_divisible
from gnv2_nas.space.axes import Value
from gnv2_nas.space.decoding import hidden_channels
from gnv2_nas.space.genes import Gene
from gnv2_nas.space.template import Template

CHANNEL_AXES = ("width", "divisor", "expansion")


class ChannelFit:
    """The search for channel genes: rounding lets them meet, so they are tried together.

    A width whose output channels or hidden channels cannot be had is dropped first; what is left
    to combine is a handful.
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
        """A value for each channel gene, or None when no choices give these channels."""
        for divisor in self._divisors[0].choices:
            possible = [
                [width for width in gene.choices if self._width_fits(gene, width, divisor)]
                for gene in self._widths
            ]
            for widths in product(*possible):
                found = dict(zip(self._widths, widths, strict=True))
                expansions = self._expand(found, divisor)
                if expansions is not None:
                    return {self._divisors[0]: divisor} | found | expansions
        return None

    def _width_fits(self, gene: Gene, width: Any, divisor: Any) -> bool:
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
        return all(self._fitting(other, widths, divisor) for other in self._expansions)

    def _expand(self, found: Mapping[Gene, Any], divisor: Any) -> dict[Gene, Value] | None:
        widths = {index: width for gene, width in found.items() for index in gene.blocks}
        expansions: dict[Gene, Value] = {}
        for gene in self._expansions:
            fitting = self._fitting(gene, widths, divisor)
            if not fitting:
                return None
            expansions[gene] = preferred(self._template, gene, fitting)
        return expansions

    def _fitting(self, gene: Gene, widths: Mapping[int, Any], divisor: Any) -> list[Value]:
        """Choices of an expansion gene that give the hidden channels of its blocks in `widths`."""
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


def preferred(template: Template, gene: Gene, fitting: Iterable[Value]) -> Value:
    """The stock value if it fits, else the first that does."""
    choices = list(fitting)
    stock = template.blocks[gene.blocks[0]].stock[gene.axis]
    return stock if stock in choices else choices[0]

"""From a space file to the genes it opens, and the fixed values of everything it does not."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gnv2_nas.documents import Document
from gnv2_nas.space.axes import AXES, Axis, Value
from gnv2_nas.space.genes import Gene
from gnv2_nas.space.overrides import Choices, Place, choices_by_place, places
from gnv2_nas.space.schema import SpaceFile
from gnv2_nas.space.template import Template

_Decided = dict[tuple[str, int], tuple[Value, ...]]
"""(axis, block) → choices."""


def genes_of(document: Document[SpaceFile], template: Template) -> tuple[Gene, ...]:
    """Every decision about a network, fixed ones included: each axis decides about each block
    exactly once.

    Raises:
        InputError: the file asks for something that cannot be; file, line and key are named.
    """
    decided: _Decided = {}
    genes: list[Gene] = []
    for axis in AXES.values():
        for gene in _axis_genes(document, template, axis, decided):
            genes.append(gene)
            decided |= {(axis.name, index): gene.choices for index in gene.blocks}
    return tuple(genes)


def _axis_genes(
    document: Document[SpaceFile], template: Template, axis: Axis, decided: _Decided
) -> Iterator[Gene]:
    if getattr(document.data.axes, axis.name) is msgspec.UNSET:
        for place in places(template, axis.scopes[-1]):
            yield _stock_gene(template, axis, place)
        return
    for place, choices in choices_by_place(document, template, axis):
        if axis.name == "depth":
            _check_depth(document, template, place, choices)
        live = tuple(index for index in place.blocks if _matters(axis, index, template, decided))
        if live:
            yield Gene(axis.name, place.name, live, choices.values)
        for index in place.blocks:
            if index not in live:
                yield _stock_gene(template, axis, Place(f"block{index}", (index,)))


def _stock_gene(template: Template, axis: Axis, place: Place) -> Gene:
    value = template.blocks[place.blocks[0]].stock[axis.name]
    return Gene(axis.name, place.name, place.blocks, (value,))


def _matters(axis: Axis, index: int, template: Template, decided: _Decided) -> bool:
    """Whether the axis can change a block at all: a gene that cannot is never opened."""
    if axis.name == "kernel":
        return not template.blocks[index].keeps_shape
    if axis.name.startswith("dfc_") and decided["placement", index] == ("none",):
        return False
    if axis.name in ("dfc_pool", "dfc_resize"):
        return decided["dfc_factor", index] != (1,)
    return True


def _check_depth(
    document: Document[SpaceFile], template: Template, place: Place, choices: Choices
) -> None:
    allowed = template.depth_range(int(place.name.removeprefix("stage")) - 1)
    for value in choices.values:
        if value not in allowed:
            raise document.error(
                choices.key,
                f"{place.name} has {len(place.blocks)} blocks, {-allowed.start} of which can go:"
                f" depth must be {allowed.start} or more, but got {value};"
                f" give {place.name} choices of its own under overrides",
            )

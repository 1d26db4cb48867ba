"""From a space file to its genes, and the fixed values of everything it leaves closed.

`overrides` in the file replace an axis's choices at one stage or block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from gnv2_nas.documents import Document, KeyPath
from gnv2_nas.space.genes import AXES, Axis, Gene, Value
from gnv2_nas.space.schema import OVERRIDE_KEY, SpaceFile
from gnv2_nas.space.template import Template


class Choices(NamedTuple):
    """Checked choices, and where in the file they stand."""

    values: tuple[Value, ...]
    key: KeyPath


class Place(NamedTuple):
    """A part of the network that shares one value."""

    name: str
    blocks: tuple[int, ...]


def places(template: Template, scope: str) -> list[Place]:
    """The places of a scope: the network, its stages (from 1) or its blocks (from 0)."""
    if scope == "stage":
        return [Place(f"stage{number}", found) for number, found in enumerate(template.stages, 1)]
    if scope == "block":
        return [Place(f"block{index}", (index,)) for index in range(len(template.blocks))]
    return [Place("", tuple(range(len(template.blocks))))]


def choices_by_place(
    document: Document[SpaceFile], template: Template, axis: Axis
) -> list[tuple[Place, Choices]]:
    """Every place of an opened axis with its choices: a block's own, else its stage's, else the
    axis's.

    Raises:
        InputError: a choice or an override is wrong; file, line and key are named.
    """
    opened = getattr(document.data.axes, axis.name)
    key = ("axes", axis.name)
    general = _checked(document, axis, opened.choices, (*key, "choices"))
    special = _overrides(document, template, axis, opened)
    stage_of = {
        index: f"stage{number}"
        for number, members in enumerate(template.stages, 1)
        for index in members
    }
    return [
        (place, special.get(place.name, special.get(stage_of[place.blocks[0]], general)))
        for place in places(template, opened.per)
    ]


def _overrides(
    document: Document[SpaceFile], template: Template, axis: Axis, opened: Any
) -> dict[str, Choices]:
    found: dict[str, Choices] = {}
    for written, values in getattr(opened, "overrides", {}).items():
        key = ("axes", axis.name, "overrides", written)
        choices = _checked(document, axis, values, key)
        try:
            names = list(_named(template, written, opened.per))
        except ValueError as problem:
            raise document.error(key, str(problem)) from None
        for name in names:
            if name in found:
                raise document.error(key, f"{name} is already given by {found[name].key[-1]!r}")
            found[name] = choices
    return found


def _named(template: Template, written: str, scope: str) -> Iterator[str]:
    """Names of the places that an override key means; ValueError says why it means none."""
    if scope == "network":
        raise ValueError("`per: network` shares one value; write `per: stage` to override a stage")
    match = re.match(OVERRIDE_KEY, written)
    if match is None:
        raise ValueError("not a place; write for instance stage4, stage2-3 or block6-8")
    kind, first, last = match[1], int(match[2]), int(match[3] or match[2])
    if kind == "block" and scope == "stage":
        raise ValueError("`per: stage` takes overrides of stages; write `per: block` for a block")
    low, high = (0, len(template.blocks) - 1) if kind == "block" else (1, len(template.stages))
    if not low <= first <= last <= high:
        raise ValueError(f"no such {kind}; there are {kind}{low} to {kind}{high}")
    for number in range(first, last + 1):
        yield f"{kind}{number}"


def _checked(
    document: Document[SpaceFile], axis: Axis, values: Sequence[Value], key: KeyPath
) -> Choices:
    if not values:
        raise document.error(key, "at least one choice must be given, but the list is empty")
    seen: set[Value] = set()
    for index, value in enumerate(values):
        if problem := axis.problem(value):
            raise document.error((*key, index), problem)
        if value in seen:
            raise document.error((*key, index), f"{value} is given twice")
        seen.add(value)
    return Choices(axis.ordered(values), key)


_Decided = dict[tuple[str, int], tuple[Value, ...]]
"""(axis, block) → choices."""


def build_genes(document: Document[SpaceFile], template: Template) -> tuple[Gene, ...]:
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

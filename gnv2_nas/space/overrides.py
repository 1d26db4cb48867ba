"""Which choices hold at which place: an axis's own, or those of a stage or block it overrides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gnv2_nas.documents import Document, KeyPath
from gnv2_nas.space.axes import Axis, Value
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

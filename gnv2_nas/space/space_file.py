"""Space files: their type, their JSON Schema, and the genes that a file describes."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct, UnsetType

from gnv2_nas.documents import Document, KeyPath
from gnv2_nas.space.genes import AXES, Axis, Gene, Value
from gnv2_nas.space.template import BASES, Template

OVERRIDE_KEY = r"^(stage|block)(\d{1,3})(?:-(\d{1,3}))?$"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


# Types made from the table of axes, which a type checker cannot see.
_subscript: Any = operator.getitem


def _annotated(type_: Any, schema: dict[str, Any]) -> Any:
    return _subscript(Annotated, (type_, Meta(extra_json_schema=schema)))


def _choices(axis: Axis) -> Any:
    rule: dict[str, Any] = {}
    if not axis.words:
        rule = {"minimum": axis.low, "maximum": axis.high}
    if axis.odd:
        rule["not"] = {"multipleOf": 2}
    items = _subscript(list, _annotated(axis.kind, rule))
    return _annotated(items, {"minItems": 1, "uniqueItems": True})


def _axis_struct(axis: Axis) -> Any:
    choices = _choices(axis)
    scope = _subscript(Literal, axis.scopes)
    fields: list[Any] = [("choices", choices), ("per", scope, axis.scopes[0])]
    if axis.scopes != ("network",):
        by_place = _subscript(dict, (str, choices))
        rule = {"propertyNames": {"pattern": OVERRIDE_KEY}}
        fields.append(("overrides", _annotated(by_place, rule), {}))
    name = axis.name.title().replace("_", "")
    return msgspec.defstruct(name, fields, frozen=True, forbid_unknown_fields=True)


def _optional(axis: Axis) -> tuple[str, Any, Any]:
    described = _annotated(_axis_struct(axis), {"description": axis.meaning})
    return axis.name, described | UnsetType, msgspec.UNSET


_Axes: Any = msgspec.defstruct(
    "Axes", [_optional(axis) for axis in AXES.values()], frozen=True, forbid_unknown_fields=True
)


class SpaceFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A search space: a base network, and the axes along which networks may differ from it."""

    base: Annotated[
        Literal[BASES],  # type: ignore[valid-type]
        Meta(description="the published network that gives every value not opened"),
    ]
    axes: Annotated[_Axes, Meta(description="the opened axes")]
    description: Annotated[str, Meta(description="one line for lists of spaces")] = ""
    num_classes: Annotated[int, Meta(ge=1, le=65536, description="classes to tell apart")] = 1000


def json_schema() -> dict[str, Any]:
    """JSON Schema of search space files, for the completion and checks of editors."""
    return {"$schema": _DIALECT, "title": "gnv2-nas search space"} | msgspec.json.schema(SpaceFile)


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

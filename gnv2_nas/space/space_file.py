"""Space files: their type, their JSON Schema, and the genes that a file describes."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct, UnsetType

from gnv2_nas.documents import Document, KeyPath
from gnv2_nas.space.genes import AXES, BASES, Axis, Gene, Template, Value

OVERRIDE_KEY = r"^(stage|block)(\d{1,3})(?:-(\d{1,3}))?$"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


# The types are built from the table of axes, which a type checker cannot follow.
_subscript: Any = operator.getitem


def _annotate(type_: Any, schema: dict[str, Any]) -> Any:
    return _subscript(Annotated, (type_, Meta(extra_json_schema=schema)))


def _choices(axis: Axis) -> Any:
    rule: dict[str, Any] = {}
    if not axis.words:
        rule = {"minimum": axis.low, "maximum": axis.high}
    if axis.odd:
        rule["not"] = {"multipleOf": 2}
    items = _subscript(list, _annotate(axis.kind, rule))
    return _annotate(items, {"minItems": 1, "uniqueItems": True})


def _axis_struct(axis: Axis) -> Any:
    choices = _choices(axis)
    scope = _subscript(Literal, axis.scopes)
    fields: list[Any] = [("choices", choices), ("per", scope, axis.scopes[0])]
    if axis.scopes != ("network",):
        by_place = _subscript(dict, (str, choices))
        rule = {"propertyNames": {"pattern": OVERRIDE_KEY}}
        fields.append(("overrides", _annotate(by_place, rule), {}))
    name = axis.name.title().replace("_", "")
    return msgspec.defstruct(name, fields, frozen=True, forbid_unknown_fields=True)


def _optional(axis: Axis) -> tuple[str, Any, Any]:
    described = _annotate(_axis_struct(axis), {"description": axis.meaning})
    return axis.name, described | UnsetType, msgspec.UNSET


_Axes: Any = msgspec.defstruct(
    "Axes", [_optional(axis) for axis in AXES.values()], frozen=True, forbid_unknown_fields=True
)


class SpaceFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a search space file."""

    base: Annotated[
        Literal[BASES],  # type: ignore[valid-type]
        Meta(description="the published network that gives every value not opened"),
    ]
    axes: Annotated[_Axes, Meta(description="the opened axes")]
    description: Annotated[str, Meta(description="one line for lists of spaces")] = ""
    num_classes: Annotated[int, Meta(ge=1, le=65536, description="classes to tell apart")] = 1000


def json_schema() -> dict[str, Any]:
    """JSON Schema of search space files for completion and checks in editors."""
    return {"$schema": _DIALECT, "title": "gnv2-nas search space"} | msgspec.json.schema(SpaceFile)


class Choices(NamedTuple):
    """Valid choices, and their key in the file."""

    values: tuple[Value, ...]
    key: KeyPath


class Section(NamedTuple):
    """A part of the network that shares one value: all of it, a stage or a block."""

    name: str
    blocks: tuple[int, ...]


def list_sections(template: Template, scope: str) -> list[Section]:
    """The sections of a scope: the network, its stages (from 1) or its blocks (from 0)."""
    if scope == "stage":
        return [Section(f"stage{number}", found) for number, found in enumerate(template.stages, 1)]
    if scope == "block":
        return [Section(f"block{index}", (index,)) for index in range(len(template.blocks))]
    return [Section("", tuple(range(len(template.blocks))))]


def choices_by_place(
    document: Document[SpaceFile], template: Template, axis: Axis
) -> list[tuple[Section, Choices]]:
    """The sections of an axis with their choices. Overrides of a block come before those of its
    stage, and those before the choices of the axis.

    Raises:
        InputError: a choice or an override is wrong; the message names file, line and key.
    """
    opened = getattr(document.data.axes, axis.name)
    key = ("axes", axis.name)
    general = _check_choices(document, axis, opened.choices, (*key, "choices"))
    special = _overrides(document, template, axis, opened)
    stage_of = {
        index: f"stage{number}"
        for number, members in enumerate(template.stages, 1)
        for index in members
    }
    return [
        (place, special.get(place.name, special.get(stage_of[place.blocks[0]], general)))
        for place in list_sections(template, opened.per)
    ]


def _overrides(
    document: Document[SpaceFile], template: Template, axis: Axis, opened: Any
) -> dict[str, Choices]:
    found: dict[str, Choices] = {}
    for written, values in getattr(opened, "overrides", {}).items():
        key = ("axes", axis.name, "overrides", written)
        choices = _check_choices(document, axis, values, key)
        try:
            names = list(_find_names(template, written, opened.per))
        except ValueError as problem:
            raise document.error(key, str(problem)) from None
        for name in names:
            if name in found:
                raise document.error(key, f"{name} is already given by {found[name].key[-1]!r}")
            found[name] = choices
    return found


def _find_names(template: Template, written: str, scope: str) -> Iterator[str]:
    """Names of the sections that an override key selects.

    Raises:
        ValueError: it selects none; the message says why.
    """
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


def _check_choices(
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
    return Choices(axis.sort(values), key)


_Decided = dict[tuple[str, int], tuple[Value, ...]]
"""(axis, block) → choices."""


def build_genes(document: Document[SpaceFile], template: Template) -> tuple[Gene, ...]:
    """All genes, including fixed ones: exactly one for each axis of each block.

    Raises:
        InputError: the file is wrong; the message names file, line and key.
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
        for place in list_sections(template, axis.scopes[-1]):
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
                yield _stock_gene(template, axis, Section(f"block{index}", (index,)))


def _stock_gene(template: Template, axis: Axis, place: Section) -> Gene:
    value = template.blocks[place.blocks[0]].stock[axis.name]
    return Gene(axis.name, place.name, place.blocks, (value,))


def _matters(axis: Axis, index: int, template: Template, decided: _Decided) -> bool:
    """Whether the axis can change a block. If not, the block gets a fixed gene."""
    if axis.name == "kernel":
        return not template.blocks[index].keeps_shape
    if axis.name.startswith("dfc_") and decided["placement", index] == ("none",):
        return False
    if axis.name == "ghost_ratio":
        return decided["ghost", index] != ("add",)
    if axis.name in ("dfc_pool", "dfc_resize"):
        return decided["dfc_factor", index] != (1,)
    return True


def _check_depth(
    document: Document[SpaceFile], template: Template, place: Section, choices: Choices
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

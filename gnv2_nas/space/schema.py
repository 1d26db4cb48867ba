"""What a search space file holds, as a type to read it with and a JSON Schema for editors."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, UnsetType

from gnv2_nas.space.genes import AXES, Axis
from gnv2_nas.space.template import BASES

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

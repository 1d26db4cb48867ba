"""Plain YAML to plain data, with the line of every key and item.

It reads parser events instead of using `yaml.load` or `yaml.compose`: tags and aliases are refused
where they stand, before anything is constructed or expanded, and nesting is limited.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

KeyPath = tuple[str | int, ...]
"""Path of a value, for instance `("axes", "width", "choices", 2)`."""

MAX_DEPTH = 12
MAX_CHARACTERS = 40
"""Longest number, and longest text in a message."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    f"{_TAG}int": SafeConstructor.construct_yaml_int,
    f"{_TAG}float": SafeConstructor.construct_yaml_float,
    f"{_TAG}bool": SafeConstructor.construct_yaml_bool,
    f"{_TAG}null": SafeConstructor.construct_yaml_null,
}
_PLAIN_TAGS = {*_SCALARS, f"{_TAG}str", f"{_TAG}seq", f"{_TAG}map"}
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PlainYamlError(Exception):
    """The text is not plain YAML; `line` counts from 1."""

    def __init__(self, path: KeyPath, line: int, message: str) -> None:
        super().__init__(message)
        self.path, self.line, self.message = path, line, message


def parse(text: str) -> tuple[Any, dict[KeyPath, int]]:
    """The document in `text` as dicts, lists and scalars, and the line of each key and item.

    Raises:
        PlainYamlError: invalid YAML, or a tag, an anchor, an alias or a second document.
    """
    reader = _Reader(text)
    try:
        return reader.document(), reader.lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(str(error.problem or error.context).split())
        raise PlainYamlError((), line, f"not YAML: {problem}") from None
    except yaml.YAMLError as error:
        raise PlainYamlError((), 1, f"not YAML: {' '.join(str(error).split())}") from None


def format_key_path(path: KeyPath) -> str:
    """A path as text, for instance `axes.width.choices[2]`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{_word(step)}" for step in path)
    return "".join(steps).removeprefix(".")


def _word(key: str) -> str:
    return key if key.isprintable() and len(key) <= MAX_CHARACTERS else repr(key[:MAX_CHARACTERS])


class _Reader:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {(): 1}
        self._events: Iterator[Any] = yaml.parse(text, Loader=_PARSER)
        self._resolver: Any = Resolver()
        self._constructor = SafeConstructor()

    def document(self) -> Any:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            self._fail((), 1, "the file is empty; keys and values are expected")
        data = self._value(next(self._events), ())
        next(self._events)
        following = next(self._events)
        if not isinstance(following, yaml.StreamEndEvent):
            self._fail((), _line(following), "a second document begins here; keep one a file")
        return data

    def _value(self, event: Any, path: KeyPath) -> Any:
        self._refuse_more_than_plain(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path)

    def _refuse_more_than_plain(self, event: Any, path: KeyPath) -> None:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._fail(path, line, "anchors (&) and aliases (*) are not read; write the value out")
        if event.tag is not None and event.tag not in _PLAIN_TAGS:
            tag = event.tag.replace(_TAG, "!!")[:MAX_CHARACTERS]
            self._fail(path, line, f"the tag {tag!r} is not read; write a plain value")
        if len(path) > MAX_DEPTH:
            self._fail(path[:3], line, f"nested more than {MAX_DEPTH} levels deep")

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            here = (*path, key)
            if key in mapping:
                self._fail(here, _line(event), f"given twice, first on line {self.lines[here]}")
            self.lines[here] = _line(event)
            mapping[key] = self._value(next(self._events), here)
        return mapping

    def _key(self, event: Any, path: KeyPath) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._fail(path, _line(event), "a key must be one word")
        key = self._value(event, path)
        if not isinstance(key, str):
            self._fail(path, _line(event), f"the key {event.value!r} must be text; quote it")
        if not key.isprintable() or "`" in key:
            self._fail(path, _line(event), f"the key {key[:MAX_CHARACTERS]!r} must be a plain word")
        return key

    def _sequence(self, path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self.lines[here] = _line(event)
            items.append(self._value(event, here))
        return items

    def _scalar(self, event: Any, path: KeyPath) -> Any:
        value: str = event.value
        tag = event.tag or self._resolver.resolve(yaml.ScalarNode, value, event.implicit)
        if tag == f"{_TAG}str":
            return value
        shown = value[:MAX_CHARACTERS]
        # A tag outside the table is a date or `=`; `1:30` would be 90 in base 60.
        if tag not in _SCALARS or ":" in value:
            self._fail(path, _line(event), f"{shown!r} has a meaning of its own in YAML; quote it")
        if len(value) > MAX_CHARACTERS:
            self._fail(path, _line(event), f"the number {shown!r}... is too long")
        try:
            return _SCALARS[tag](self._constructor, yaml.ScalarNode(tag, value))
        except (ValueError, KeyError):
            kind = tag.removeprefix(_TAG)
            self._fail(path, _line(event), f"{shown!r} cannot be read as {kind}; quote it if text")

    def _fail(self, path: KeyPath, line: int, message: str) -> NoReturn:
        raise PlainYamlError(path, line, message)


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1

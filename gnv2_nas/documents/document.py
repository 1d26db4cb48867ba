"""`read_document`: a YAML file as a typed struct, with the line of every value for messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import inspect

from gnv2_nas.documents.plain_yaml import KeyPath, PlainYamlError, format_key_path, parse
from gnv2_nas.errors import InputError

MAX_BYTES = 64 * 1024
"""Largest file. Files written by hand have a few kilobytes."""

T = TypeVar("T")


@dataclass(frozen=True)
class Document(Generic[T]):
    """The data of a file, and the line of each value."""

    path: Path
    data: T
    lines: Mapping[KeyPath, int]
    error_type: type[InputError]

    def line_of(self, key: KeyPath) -> int:
        """Line (from 1) of a key or list item; of what encloses it when it is not written."""
        while key not in self.lines:
            key = key[:-1]
        return self.lines[key]

    def error(self, key: KeyPath, message: str) -> InputError:
        """The error to raise about the value at `key`, one line: file, line, key, message."""
        return _error(self.error_type, self.path, self.line_of(key), key, message)


def read_document(path: Path, type_: type[T], *, error: type[InputError], what: str) -> Document[T]:
    """Read a YAML file and check it.

    Args:
        path: the file.
        type_: the struct type of its content.
        error: the class of errors to raise.
        what: name of this kind of file for messages.

    Raises:
        InputError: an `error`: the file cannot be read, is not plain YAML, or does not fit
            `type_`. The message names file, line, key and what would be right.
    """
    text = _text(path, error, what)
    try:
        data, lines = parse(text)
    except PlainYamlError as problem:
        raise _error(error, path, problem.line, problem.path, problem.message) from None
    try:
        checked = msgspec.convert(data, type_)
    except msgspec.ValidationError as problem:
        key, message = explain(problem, data, type_)
        raise Document(path, data, lines, error).error(key, message) from None
    return Document(path, checked, lines, error)


def _text(path: Path, error: type[InputError], what: str) -> str:
    try:
        if not path.is_file():
            raise error(f"{path}: not a file; a {what} is a YAML file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror or problem}") from None
    if len(content) > MAX_BYTES:
        raise error(
            f"{path}: {path.stat().st_size:,} bytes are too many;"
            f" a {what} is a YAML file of at most {MAX_BYTES:,} bytes"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise error(f"{path}:{line}: not UTF-8 text; a {what} is a YAML file") from None


def _error(
    error: type[InputError], path: Path, line: int, key: KeyPath, message: str
) -> InputError:
    where = f"key '{format_key_path(key)}': " if key else ""
    return error(f"{path}:{line}: {where}{message}")


_WHERE = re.compile(r"(?s)(?P<message>.*?)(?: - at (?:`key` in )?`\$(?P<path>[^`]*)`)?\Z")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_NAMES = {
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.StrType: "text",
    inspect.BoolType: "true or false",
    inspect.NoneType: "null",
}
_LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)
_MAX_VALUE = 40


def explain(error: msgspec.ValidationError, data: Any, type_: Any) -> tuple[KeyPath, str]:
    """The wrong key in `data`, and a message that says what would be right."""
    found = _WHERE.match(str(error))
    assert found is not None  # noqa: S101 - the pattern matches any text
    message = found["message"]
    path = _path(found["path"] or "", data, type_)
    value, node = _value_at(data, path), _type_at(inspect.type_info(type_), path)
    if unknown := re.search(r"unknown field `(.*)`", message):
        known = [field.encode_name for field in _struct(node, value).fields]
        return (*path, unknown[1]), f"unknown key; {_nearest(unknown[1], known)}"
    if missing := re.search(r"missing required field `(.*)`", message):
        return path, f"the key {missing[1]!r} is missing"
    if message.startswith("Invalid value"):
        tags = [
            str(member.tag) for member in _structs(_type_at(inspect.type_info(type_), path[:-1]))
        ]
        return path, f"expected one of {', '.join(tags)}, but got {format_value(value)}"
    if "got `" not in message and not message.startswith("Invalid enum"):
        return path, f"{_lower(message.replace('`', ''))}, but got {format_value(value)}"
    return (
        path,
        f"expected {_describe_type(node)}, but got {format_value(value)}{_hint(value, node)}",
    )


def format_value(value: Any) -> str:
    """A value as the user wrote it, shortened to a few words."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    text = repr(value)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}..."


def _path(text: str, data: Any, type_: Any) -> KeyPath:
    path: KeyPath = ()
    for name, index in _STEP.findall(text):
        if index == "...":
            path = (*path, _failing_key(_value_at(data, path), data, type_))
        else:
            path = (*path, int(index) if index else name)
    return path


def _failing_key(mapping: dict[str, Any], data: Any, type_: Any) -> str:
    """The first entry that fails alone; msgspec does not name the key of a mapping."""
    entries = dict(mapping)
    try:
        for key, value in entries.items():
            mapping.clear()
            mapping[key] = value
            try:
                msgspec.convert(data, type_)
            except msgspec.ValidationError:
                return key
    finally:
        mapping.clear()
        mapping.update(entries)
    return next(iter(entries))


def _value_at(data: Any, path: KeyPath) -> Any:
    for step in path:
        data = data[step]
    return data


def _type_at(node: inspect.Type, path: KeyPath) -> inspect.Type:
    for step in path:
        node = _child(node, step) or inspect.AnyType()
    return _plain(node)


def _child(node: inspect.Type, step: str | int) -> inspect.Type | None:
    node = _plain(node)
    if isinstance(node, inspect.UnionType):
        children = (_child(member, step) for member in node.types)
        return next((child for child in children if child is not None), None)
    if isinstance(node, inspect.StructType):
        return next((field.type for field in node.fields if field.encode_name == step), None)
    if isinstance(node, inspect.DictType):
        return node.value_type
    return node.item_type if isinstance(node, _LISTS) else None


def _plain(node: inspect.Type) -> inspect.Type:
    """`node` without schema annotations."""
    while isinstance(node, inspect.Metadata):
        node = node.type
    return node


def _structs(node: inspect.Type) -> list[inspect.StructType]:
    members = node.types if isinstance(node, inspect.UnionType) else (node,)
    return [member for member in map(_plain, members) if isinstance(member, inspect.StructType)]


def _struct(node: inspect.Type, value: dict[str, Any]) -> inspect.StructType:
    """The member of a union with the tag of `value`; the first member if there are no tags."""
    structs = _structs(node)
    tagged = (one for one in structs if one.tag_field and value.get(one.tag_field) == one.tag)
    return next(tagged, structs[0])


def _describe_type(node: inspect.Type) -> str:
    node = _plain(node)
    if isinstance(node, inspect.UnionType):
        return " or ".join(dict.fromkeys(_describe_type(member) for member in node.types))
    if isinstance(node, inspect.LiteralType):
        return f"one of {', '.join(map(str, node.values))}"
    if isinstance(node, _LISTS):
        return "a list"
    return _NAMES.get(type(node), "a mapping")


def _hint(value: Any, node: inspect.Type) -> str:
    if isinstance(value, bool):
        return " (in YAML yes, no, on and off mean true and false; write text in quotes)"
    if value is None:
        return " (in YAML null, ~ and nothing at all mean null)"
    if isinstance(node, _LISTS) and not isinstance(value, dict):
        return f"; write [{value}]" if len(str(value)) <= _MAX_VALUE else ""
    if isinstance(node, inspect.LiteralType) and isinstance(value, str):
        close = difflib.get_close_matches(value, map(str, node.values), n=1)
        return f"; did you mean {close[0]!r}?" if close else ""
    return ""


def _nearest(name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return (f"did you mean {close[0]!r}? " if close else "") + f"known: {', '.join(names)}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]

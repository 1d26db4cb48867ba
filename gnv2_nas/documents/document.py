"""`read_document`: a YAML file as a checked struct that still knows its lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from gnv2_nas.documents.explain import explain
from gnv2_nas.documents.plain_yaml import KeyPath, PlainYamlError, format_key_path, parse
from gnv2_nas.errors import InputError

MAX_BYTES = 64 * 1024
"""Files written by hand are a few kilobytes; the worst of this size is refused in a blink."""

T = TypeVar("T")


@dataclass(frozen=True)
class Document(Generic[T]):
    """A file that was read: its data, and where each value stands for later complaints."""

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
    """Read and check the YAML file at `path`; `what` names its kind in messages.

    Raises:
        InputError: of the class `error`: the file cannot be read, is not plain YAML, or its
            keys and values are not those of `type_`. One line: file, line, key, what is right.
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

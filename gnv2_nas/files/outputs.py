"""Whether a command may write a file.

It may if the path is free or holds an earlier output of the same kind. Everything else is refused:
an input of the same command under any name, a folder, a link, a device, a file of another kind.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gnv2_nas.errors import OutputError
from gnv2_nas.files.leftovers import remove_leftovers
from gnv2_nas.files.writing import check_output

CARD_MARK = "<!-- model card of gnv2-nas -->"
"""First line of every model card."""
PAGE_MARK = '<meta name="generator" content="gnv2-nas">'
"""In the head of every page."""

_HEAD_BYTES = 4000
"""A mark must be within these first bytes of a file."""
_MAX_JSON_BYTES = 1 << 28


@dataclass(frozen=True)
class Kind:
    """A kind of file that this program writes."""

    what: str
    """Name in messages, for instance "a model card"."""
    is_one: Callable[[Path], bool]
    """Whether a file is of this kind; raises OSError if it cannot be read."""


def check_outputs(
    kinds: Mapping[Path, Kind], inputs: Iterable[Path | str | None] = (), option: str = "--output"
) -> None:
    """Check that files may be written, in existing folders.

    Args:
        kinds: path → kind of the file to write.
        inputs: paths that the command reads; None and missing paths are ignored.
        option: the option that selects another path, for the message.

    Raises:
        OutputError: a file may not be written; the message says what to do.
    """
    read = [Path(each) for each in inputs if each]
    for path, kind in kinds.items():
        check_output(path)
        _check_is_not_read(path, read, option)
        check_replaceable(path, kind, option)


def check_replaceable(path: Path, kind: Kind, option: str = "--output") -> None:
    """Check that `path` is free or holds an earlier output of the same kind.

    Raises:
        OutputError: something else is there.
    """
    remove_leftovers(path.parent)  # the files of an interrupted set are links
    advice = f"move it away or choose another {option}"
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"cannot write {str(path)!r}: {error.strerror or error}") from None
    if stat.S_ISLNK(status.st_mode):
        # Renaming a file to this path would replace the link and leave its target unchanged.
        target = os.fspath(path.readlink())
        raise OutputError(f"{str(path)!r} is a link to {target!r}; name that file, or {advice}")
    if stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{str(path)!r} is a folder; {advice}")
    if not stat.S_ISREG(status.st_mode):
        raise OutputError(f"{str(path)!r} is no ordinary file; {advice}")
    try:
        replaceable = kind.is_one(path)
    except OSError as error:
        raise OutputError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    if not replaceable:
        raise OutputError(
            f"{kind.what} would overwrite {str(path)!r}, which is something else; {advice}"
        )


def _check_is_not_read(path: Path, inputs: Iterable[Path], option: str) -> None:
    for each in inputs:
        try:
            same = each.samefile(path)
        except (OSError, ValueError):
            continue
        if same:
            raise OutputError(
                f"{str(path)!r} would overwrite {str(each)!r}, which this command reads; choose "
                f"another {option}"
            )


def starts_with(path: Path, mark: bytes) -> bool:
    """Whether `mark` is near the start of a file."""
    with path.open("rb") as file:
        return mark in file.read(_HEAD_BYTES)


def holds_fields(path: Path, *names: str) -> bool:
    """Whether a file, or its first line, is a JSON object with these fields or a list of such."""
    if path.stat().st_size > _MAX_JSON_BYTES:
        return False
    content = path.read_bytes()
    for text in (content, content.partition(b"\n")[0]):
        try:
            found = msgspec.json.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        first = found[0] if isinstance(found, list) and found else found
        return isinstance(first, dict) and first.keys() >= set(names)
    return False


PAGE = Kind("the page", lambda path: starts_with(path, PAGE_MARK.encode()))
CARD = Kind("the model card", lambda path: starts_with(path, CARD_MARK.encode()))

"""Questions to a SQLite file without Optuna, whatever state a killed program left it in."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from gnv2_nas.errors import StudyError

Answer = TypeVar("Answer")

_NEEDS_WRITING = ("SQLITE_READONLY", "SQLITE_CANTOPEN")
_LEFT_BEHIND = ("-journal", "-wal")


def ask(path: Path, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
    """What a file answers; nothing is written but what a killed program left unfinished.

    A program that is killed while it writes leaves a journal. The next one that may write rolls
    the change back, or forward, before it reads.

    Raises:
        StudyError: the file cannot be read; the message says why.
    """
    try:
        try:
            return _asked(path, "ro", question)
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(_NEEDS_WRITING):
                raise
            if not is_writable(path):
                raise _must_be_written_to(path, error) from None
            return _asked(path, "rw", question)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise StudyError(
                f"{str(path)!r} is not a SQLite database; choose another file with --storage"
            ) from None
        raise StudyError(f"cannot read {str(path)!r} as a SQLite database: {error}") from None


def is_writable(path: Path) -> bool:
    """Whether a change can be made: SQLite keeps a journal beside the file."""
    return all(os.access(target, os.W_OK) for target in (path, path.parent))


def _asked(path: Path, mode: str, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        return question(connection)


def _must_be_written_to(path: Path, error: sqlite3.Error) -> StudyError:
    beside = [path.with_name(path.name + suffix) for suffix in _LEFT_BEHIND]
    left = [repr(str(each)) for each in beside if each.exists()]
    if not left:
        return StudyError(
            f"cannot read {str(path)!r} as a SQLite database: {error}; make it and its folder "
            "writable, or copy it to a folder that is"
        )
    return StudyError(
        f"{str(path)!r} cannot be read as it is: a program ended while it wrote and left "
        f"{' and '.join(left)}, and SQLite may not put it right, because the file or its folder is "
        "read-only; make both writable, or copy the files together to a folder that is"
    )

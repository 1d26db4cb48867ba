"""A look at a SQLite file before Optuna opens it: fast, and with plain words when it is wrong."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gnv2_nas.errors import InputError, StudyError, UnknownNameError

PREFIX = "sqlite:///"
_MAGIC = b"SQLite format 3\x00"
SCHEMA_VERSION = 12
"""Of the tables of Optuna 5."""


def check_database(storage: str, *, write: bool = False) -> bool:
    """Whether the database of a storage URL is there.

    Other databases than SQLite are left to Optuna and count as there.

    Args:
        storage: a storage URL, such as "sqlite:///studies.db".
        write: also prove that it can be written to.

    Raises:
        StudyError: not a URL, not a SQLite file, read-only, or not a database of Optuna 5.
    """
    if "://" not in storage:
        raise StudyError(
            f"--storage {storage!r} is not a URL; for a file write {PREFIX + storage!r}"
        )
    if not storage.startswith(PREFIX):
        return True
    path = _path_of(storage)
    if write:
        _check_writable(path)
    try:
        if not path.exists() or (path.is_file() and path.stat().st_size == 0):
            return False
    except OSError as error:
        raise _unreadable(path, error) from None
    if not path.is_file():
        raise StudyError(f"{str(path)!r} is not a file; a SQLite database is needed")
    _check_content(path)
    return True


def without_password(text: str) -> str:
    """`text` with the passwords of the URLs in it masked: reports are passed on."""
    return re.sub(r"(://[^:/@\s]+):[^@/\s]+@", r"\1:***@", text)


def require_study(storage: str, name: str) -> None:
    """Refuse a study that is not in a SQLite database without loading optuna.

    Raises:
        UnknownNameError: no such study; the message lists those that are there.
        StudyError: see `check_database`.
    """
    names: list[str] = []
    if check_database(storage):
        if not storage.startswith(PREFIX):
            return
        names = [row[0] for row in _rows(storage, "SELECT study_name FROM studies")]
    if name not in names:
        none = f"none in {storage}; make one with gnv2-nas search"
        raise UnknownNameError("study", name, names or [none])


def require_trial(storage: str, study: str, number: int) -> None:
    """Refuse a trial that is not in a study of a SQLite database without loading optuna.

    Raises:
        InputError: no such trial; the message says which there are.
        UnknownNameError, StudyError: see `require_study`.
    """
    require_study(storage, study)
    if not storage.startswith(PREFIX):
        return
    query = "SELECT number FROM trials JOIN studies USING (study_id) WHERE study_name = ?"
    numbers = {row[0] for row in _rows(storage, query, study)}
    if number not in numbers:
        raise no_such_trial(study, number, max(numbers, default=None))


def no_such_trial(study: str, number: int, last: int | None) -> InputError:
    there = "it has none yet" if last is None else f"its trials are 0 to {last}"
    return InputError(f"study {study!r} has no trial {number}; {there}")


def _rows(storage: str, query: str, *values: str) -> list[tuple[Any, ...]]:
    path = _path_of(storage)
    try:
        with closing(_read_only(path)) as connection:
            return connection.execute(query, values).fetchall()
    except sqlite3.Error as error:
        raise StudyError(f"cannot read {str(path)!r} as a SQLite database: {error}") from None


def _path_of(storage: str) -> Path:
    """The file of a SQLite URL, whose options follow a question mark."""
    return Path(storage.removeprefix(PREFIX).partition("?")[0])


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


def _check_writable(path: Path) -> None:
    folder = path.parent
    try:
        if not folder.is_dir():
            raise StudyError(
                f"the folder of {str(path)!r} is not there; make it, or choose another --storage"
            )
        # SQLite keeps its journal beside the file, so the folder must be writable too.
        targets = (folder, path) if path.exists() else (folder,)
    except OSError as error:
        raise _unreadable(path, error) from None
    for target in targets:
        if not os.access(target, os.W_OK):
            raise StudyError(
                f"{str(target)!r} is read-only, so the study cannot be kept in {str(path)!r}; "
                "choose another --storage"
            )


def _check_content(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise _unreadable(path, error) from None
    if magic != _MAGIC:
        raise StudyError(
            f"{str(path)!r} is not a SQLite database; choose another file with --storage"
        )
    try:
        with closing(_read_only(path)) as connection:
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
            if not tables:
                return
            rows = (
                connection.execute("SELECT schema_version, library_version FROM version_info")
                if "version_info" in tables
                else ()
            )
            versions = list(rows)
    except sqlite3.Error as error:
        raise StudyError(f"cannot read {str(path)!r} as a SQLite database: {error}") from None
    if not versions:
        raise StudyError(f"{str(path)!r} is a SQLite database, but not one of Optuna's")
    schema, library = versions[0]
    if schema != SCHEMA_VERSION:
        raise StudyError(
            f"{str(path)!r} was made by Optuna {library} (tables of version {schema}, "
            f"{SCHEMA_VERSION} is needed); upgrade it with `optuna storage upgrade --storage "
            f"{PREFIX}{path}` or choose another --storage"
        )


def _unreadable(path: Path, error: OSError) -> StudyError:
    return StudyError(f"cannot read {str(path)!r}: {error.strerror or error}")

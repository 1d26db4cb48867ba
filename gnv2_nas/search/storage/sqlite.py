"""Check a SQLite file before Optuna opens it: within milliseconds, and with clear errors."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from gnv2_nas.errors import InputError, StudyError, UnknownNameError
from gnv2_nas.search.storage.url import PREFIX, SCHEMA_VERSION, SqliteFile, mask_url, sqlite_file


def check_database(storage: str, *, write: bool = False) -> bool:
    """Whether the database of a storage URL exists; True for databases other than SQLite.

    Args:
        storage: a storage URL, such as "sqlite:///studies.db".
        write: also check that it can be written to.

    Raises:
        StudyError: it is no URL, no SQLite file, read-only, or no database of Optuna 5.
    """
    file = sqlite_file(storage)
    if file is None:
        return True
    path = file.path
    if write:
        _check_writable(file)
    try:
        if not path.exists() or (path.is_file() and path.stat().st_size == 0):
            return False
    except OSError as error:
        raise _unreadable(path, error) from None
    if not path.is_file():
        raise StudyError(f"{str(path)!r} is not a file; a SQLite database is needed")
    return _has_studies(path)


def require_study(storage: str, name: str) -> None:
    """Refuse a study that is not in a SQLite database, without importing Optuna.

    Raises:
        UnknownNameError: there is no such study; the message lists the studies.
        StudyError: see `check_database`.
    """
    names: list[str] = []
    if check_database(storage):
        file = sqlite_file(storage)
        if file is None:
            return
        names = [row[0] for row in _rows(file.path, "SELECT study_name FROM studies")]
    if name not in names:
        none = f"none in {mask_url(storage)}; make one with gnv2-nas search"
        raise UnknownNameError("study", name, names or [none])


def require_trial(storage: str, study: str, number: int) -> None:
    """Refuse a trial that is not in a study of a SQLite database, without importing Optuna.

    Raises:
        InputError: there is no such trial; the message gives the range of numbers.
        UnknownNameError, StudyError: see `require_study`.
    """
    require_study(storage, study)
    file = sqlite_file(storage)
    if file is None:
        return
    query = "SELECT number FROM trials JOIN studies USING (study_id) WHERE study_name = ?"
    numbers = {row[0] for row in _rows(file.path, query, study)}
    if number not in numbers:
        raise no_such_trial(study, number, max(numbers, default=None))


def no_such_trial(study: str, number: int, last: int | None) -> InputError:
    """The error for a trial that a study does not have; `last` is its highest number."""
    there = "it has none yet" if last is None else f"its trials are 0 to {last}"
    return InputError(f"study {study!r} has no trial {number}; {there}")


def _rows(path: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    return ask(path, lambda connection: connection.execute(query, values).fetchall())


def _check_writable(file: SqliteFile) -> None:
    path, folder = file.path, file.path.parent
    if file.is_for_reading:
        raise StudyError(
            f"--storage opens {str(path)!r} for reading only; leave `mode` and `immutable` out"
        )
    try:
        if not folder.is_dir():
            raise StudyError(
                f"the folder of {str(path)!r} does not exist; {_home_hint(path)}"
                "create it or choose another --storage"
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


def _home_hint(path: Path) -> str:
    named = path.parts[:1] and path.parts[0].startswith("~")
    return "a URL has no ~ for the home folder: write the whole path; " if named else ""


def _has_studies(path: Path) -> bool:
    """Whether the file has all of Optuna's tables; False if they are half made."""
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise _unreadable(path, error) from None
    versions = ask(path, _versions)
    if versions is None:
        return False
    if not versions:
        raise StudyError(f"{str(path)!r} is a SQLite database, but not one of Optuna's")
    schema, library = versions[0]
    if schema != SCHEMA_VERSION:
        raise StudyError(
            f"{str(path)!r} was made by Optuna {library} (tables of version {schema}, "
            f"{SCHEMA_VERSION} is needed); upgrade it with `optuna storage upgrade --storage "
            f"{PREFIX}{path}` or choose another --storage"
        )
    return True


def _versions(connection: sqlite3.Connection) -> list[tuple[int, str]] | None:
    """Rows of Optuna's table of versions; None if the tables must be made first."""
    if is_half_made(connection):
        return None
    if "version_info" not in tables_in(connection):
        return []
    rows = connection.execute("SELECT schema_version, library_version FROM version_info")
    return rows.fetchall()


def _unreadable(path: Path, error: OSError) -> StudyError:
    return StudyError(f"cannot read {str(path)!r}: {error.strerror or error}")


TABLES = frozenset(
    (
        "alembic_version", "studies", "study_directions", "study_system_attributes",
        "study_user_attributes", "trial_heartbeats", "trial_intermediate_values", "trial_params",
        "trial_system_attributes", "trial_user_attributes", "trial_values", "trials",
        "version_info",
    )
)  # fmt: skip
"""All tables of Optuna 5."""


def tables_in(connection: sqlite3.Connection) -> set[str]:
    """The tables, views and triggers of a file."""
    return {
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type != 'index' AND name NOT LIKE 'sqlite_%'"
        )
    }


def is_half_made(connection: sqlite3.Connection) -> bool:
    """Whether a file has only some of Optuna's tables, all empty.

    This is what a program leaves that is killed, or finds the disk full, while it makes them.
    """
    tables = tables_in(connection)
    return tables <= TABLES and not any(
        connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608
        for table in tables
    )


Answer = TypeVar("Answer")

_NEEDS_WRITING = ("SQLITE_READONLY", "SQLITE_CANTOPEN")
_LEFT_BEHIND = ("-journal", "-wal")


def ask(path: Path, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
    """Ask a file, without writing to it if possible.

    A program that is killed while it writes leaves a journal. SQLite must write to the file to undo
    or complete that change before it can read.

    Raises:
        StudyError: the file cannot be read.
    """
    try:
        try:
            return _ask_in_mode(path, "ro", question)
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith(_NEEDS_WRITING):
                raise
            if not _is_writable(path):
                raise _needs_writing(path, error) from None
            return _ask_in_mode(path, "rw", question)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise StudyError(
                f"{str(path)!r} is not a SQLite database; choose another file with --storage"
            ) from None
        raise StudyError(f"cannot read {str(path)!r} as a SQLite database: {error}") from None


def _is_writable(path: Path) -> bool:
    """Whether the file and its folder, where SQLite keeps its journal, can be written to."""
    return all(os.access(target, os.W_OK) for target in (path, path.parent))


def _ask_in_mode(path: Path, mode: str, question: Callable[[sqlite3.Connection], Answer]) -> Answer:
    address = f"file:{quote(str(path.absolute()))}?mode={mode}"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        return question(connection)


def _needs_writing(path: Path, error: sqlite3.Error) -> StudyError:
    beside = [path.with_name(path.name + suffix) for suffix in _LEFT_BEHIND]
    left = [repr(str(each)) for each in beside if each.exists()]
    if not left:
        return StudyError(
            f"cannot read {str(path)!r} as a SQLite database: {error}; make it and its folder "
            "writable, or copy it to a folder that is"
        )
    return StudyError(
        f"{str(path)!r} cannot be read as it is: a program ended while it wrote and left "
        f"{' and '.join(left)}, and SQLite cannot repair it, because the file or its folder is "
        "read-only; make both writable, or copy the files together to a folder that is"
    )

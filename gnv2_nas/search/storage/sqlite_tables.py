"""Tables of a SQLite file: looked at without Optuna, and made all at once or not at all."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from gnv2_nas.errors import StudyError
from gnv2_nas.search.storage.url import SqliteFile

TABLES = frozenset(
    (
        "alembic_version", "studies", "study_directions", "study_system_attributes",
        "study_user_attributes", "trial_heartbeats", "trial_intermediate_values", "trial_params",
        "trial_system_attributes", "trial_user_attributes", "trial_values", "trials",
        "version_info",
    )
)  # fmt: skip
"""All that Optuna 5 makes."""


def tables_in(connection: sqlite3.Connection) -> set[str]:
    """The tables, views and triggers of a file."""
    return {
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type != 'index' AND name NOT LIKE 'sqlite_%'"
        )
    }


def is_half_made(connection: sqlite3.Connection) -> bool:
    """Whether a file holds some of Optuna's tables, nothing in them and nothing else: a program
    was killed, or found no room, while it made them."""
    tables = tables_in(connection)
    return tables <= TABLES and not any(
        connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608
        for table in tables
    )


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


_FILLED = ("version_info", "alembic_version")
"""Tables that are not empty in the beginning."""


def make_tables(file: SqliteFile, timeout: float) -> None:
    """Make the tables in one transaction; those of a file that has them are left alone.

    Optuna itself makes them one by one. A program killed in the midst leaves a file with some of
    them, which lack an index, or which nobody reads: here such a file is made anew.

    Args:
        timeout: seconds that a lock is waited for.
    """
    opened = sqlite3.connect(file.name, uri=file.is_uri, timeout=timeout, isolation_level=None)
    with closing(opened) as connection:
        if not is_half_made(connection):
            return
        statements = list(_statements())
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have made them since; an open transaction ends with the connection.
        if not is_half_made(connection):
            return
        for table in sorted(tables_in(connection)):
            connection.execute(f"DROP TABLE {table}")
        for statement, values in statements:
            connection.execute(statement, values)
        connection.execute("COMMIT")


def _statements() -> Iterator[tuple[str, Sequence[Any]]]:
    """What makes the tables as Optuna does, read off a database in memory."""
    # Imported here: a refusal looks at tables, and must not wait for it.
    import optuna

    model = optuna.storages.RDBStorage("sqlite://")
    with model.engine.connect() as connection:
        made = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        for (statement,) in connection.exec_driver_sql(made).all():
            yield statement, ()
        for table in _FILLED:
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}").all():  # noqa: S608
                places = ", ".join("?" * len(row))
                yield f"INSERT INTO {table} VALUES ({places})", tuple(row)  # noqa: S608
    model.engine.dispose()

"""Optuna's tables made in a SQLite file, all of them or none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import optuna

from gnv2_nas.search.storage.database_url import SqliteFile
from gnv2_nas.search.storage.sqlite_tables import is_half_made, tables_in

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

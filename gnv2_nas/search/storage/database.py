"""A storage URL opened, with plain words when that fails."""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import optuna
from sqlalchemy import Engine, event, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, ProgrammingError

from gnv2_nas.errors import InputError, StorageError, StudyError
from gnv2_nas.interrupts import DelayedInterrupt
from gnv2_nas.search.storage.retries import DATABASE_ERRORS, refusal_of
from gnv2_nas.search.storage.sqlite import is_half_made, tables_in
from gnv2_nas.search.storage.url import (
    SqliteFile,
    for_optuna,
    mask_url,
    remove_secrets,
    sqlite_file,
)

LOCK_SECONDS = 5
"""How long SQLite itself waits for a lock; `Patience` decides how often."""
CONNECT_SECONDS = 10
ATTEMPTS_TO_MAKE_TABLES = 5

DRIVERS = (
    'for postgresql+psycopg: pip install "psycopg[binary]", for mysql+pymysql: pip install pymysql'
)

_CONNECT_TIMEOUT = ("postgresql", "postgresql+psycopg", "postgresql+psycopg2", "mysql+pymysql")
"""Dialects whose driver has an argument `connect_timeout`."""


def hand_over_messages() -> None:
    """Leave what Optuna warns of to the program's own handlers, and drop its other messages."""
    # Its lines about new studies would interrupt those of the progress.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()


def open_database(url: str) -> optuna.storages.RDBStorage:
    """The database of a storage URL; its tables are made if it is empty.

    Raises:
        InputError: no such kind of database, or its driver is not installed.
        StudyError: not a URL, or tables of another version of Optuna.
        StorageError: it cannot be reached, or refused.
    """
    file = sqlite_file(url)
    with opening(url):
        if file is not None and not file.is_for_reading:
            make_tables(file, LOCK_SECONDS)
        storage = _storage(url)
    close_with(storage, storage.engine)
    if file is not None:
        _never_anew(storage.engine, file)
    return storage


def close_with(owner: object, engine: Engine) -> None:
    """Close the connections that `engine` keeps when `owner` is no more, or the program ends."""
    weakref.finalize(owner, engine.dispose)


def _storage(url: str) -> optuna.storages.RDBStorage:
    """Another process may be making the tables at the same moment: then once more."""
    for _ in range(ATTEMPTS_TO_MAKE_TABLES - 1):
        try:
            return _connected(url)
        except IntegrityError:
            continue
        except (OperationalError, ProgrammingError) as error:
            if "already exists" not in str(error):
                raise
    return _connected(url)


def _connected(url: str) -> optuna.storages.RDBStorage:
    try:
        return optuna.storages.RDBStorage(for_optuna(url), engine_kwargs=_engine_arguments(url))
    except RuntimeError:
        # So Optuna answers tables of a version that it cannot read.
        raise StudyError(
            f"the tables in {mask_url(url)!r} were made by another version of Optuna than "
            f"{optuna.__version__}; upgrade them with `optuna storage upgrade` "
            "or choose another --storage"
        ) from None
    except ImportError:
        kind = url.partition("://")[0]
        raise InputError(
            f"cannot open the study database: the driver for {kind!r} is not installed; {DRIVERS}"
        ) from None


def _engine_arguments(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        given = "timeout" in make_url(url).query
        return {} if given else {"connect_args": {"timeout": LOCK_SECONDS}}
    # A server or a firewall may have closed a connection while a batch was measured.
    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if url.partition("://")[0] in _CONNECT_TIMEOUT:
        arguments["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
    return arguments


def _never_anew(engine: Engine, file: SqliteFile) -> None:
    """Connect to the file that is there: SQLite would make an empty one where it was moved away."""
    path = file.path.absolute()

    @event.listens_for(engine, "do_connect")
    def look_first(*_: object) -> None:
        if not path.is_file():
            missing = sqlite3.OperationalError(f"{file.path} is not there any more")
            missing.sqlite_errorname = "SQLITE_CANTOPEN"
            raise missing


@contextmanager
def opening(url: str) -> Iterator[None]:
    """Failures to open a database as one line of this package's own; interrupts wait."""
    try:
        with DelayedInterrupt():
            yield
    except ArgumentError as error:
        reason = remove_secrets(" ".join(str(error).split()), url)
        raise StudyError(f"--storage cannot be opened: {reason}") from None
    except (*DATABASE_ERRORS, sqlite3.Error) as error:
        refusal = refusal_of(error, url)
        raise StorageError(
            f"the study database refused: {refusal.reason}; finished trials are kept: "
            f"{refusal.advice}, then try again"
        ) from None
    except ValueError as error:
        reason = remove_secrets(str(error), url)
        raise InputError(f"cannot open the study database: {reason}") from None


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

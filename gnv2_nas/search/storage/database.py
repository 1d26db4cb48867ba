"""Open the database of a storage URL."""

from __future__ import annotations

import sqlite3
import weakref
from contextlib import closing
from typing import Any

import optuna
from sqlalchemy import Engine, StaticPool, event, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, OperationalError, ProgrammingError

from gnv2_nas.errors import InputError, StudyError
from gnv2_nas.search.storage.retries import PATIENCE, Patience, persist, replace_failures
from gnv2_nas.search.storage.sqlite import is_half_made, tables_in
from gnv2_nas.search.storage.url import (
    SqliteFile,
    for_optuna,
    mask_url,
    remove_secrets,
    sqlite_file,
)

LOCK_SECONDS = 5
"""Wait of SQLite itself for a lock; `Patience` says how often that is repeated."""
CONNECT_SECONDS = 10
MAX_ATTEMPTS = 5

DRIVERS = (
    'for postgresql+psycopg: pip install "psycopg[binary]", for mysql+pymysql: pip install pymysql'
)

_CONNECT_TIMEOUT = ("postgresql", "postgresql+psycopg", "postgresql+psycopg2", "mysql+pymysql")
"""Dialects whose drivers have an argument `connect_timeout`."""


def hand_over_messages() -> None:
    """Pass Optuna's warnings to the program's own log handlers and drop its other messages."""
    # Messages about new studies would break the progress display.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()


def open_database(url: str, patience: Patience = PATIENCE) -> optuna.storages.RDBStorage:
    """Open the database of a storage URL; make its tables if it is empty.

    Raises:
        InputError: the kind of database is unknown, or its driver is not installed.
        StudyError: it is not a URL, or the tables are of another version of Optuna.
        StorageError: it cannot be reached within `patience`, or refused.
    """
    file = sqlite_file(url)

    def connect() -> optuna.storages.RDBStorage:
        made = file is not None and not file.is_for_reading and make_tables(file)
        try:
            return _storage(url, check_version=not made)
        except ArgumentError as error:
            reason = remove_secrets(" ".join(str(error).split()), url)
            raise StudyError(f"--storage cannot be opened: {reason}") from None
        except ValueError as error:
            reason = remove_secrets(str(error), url)
            raise InputError(f"cannot open the study database: {reason}") from None

    storage = persist(connect, patience, None, url)
    weakref.finalize(storage, storage.engine.dispose)
    replace_failures(storage.engine, url)
    if file is not None:
        _require_file(storage.engine, file)
    return storage


def _storage(url: str, *, check_version: bool) -> optuna.storages.RDBStorage:
    """Connect, again if another process makes the tables at the same moment."""
    for _ in range(MAX_ATTEMPTS - 1):
        try:
            return _connected(url, check_version)
        except IntegrityError:
            continue
        except (OperationalError, ProgrammingError) as error:
            if "already exists" not in str(error):
                raise
    return _connected(url, check_version)


def _connected(url: str, check_version: bool) -> optuna.storages.RDBStorage:
    try:
        return optuna.storages.RDBStorage(
            for_optuna(url), _engine_arguments(url), skip_compatibility_check=not check_version
        )
    except RuntimeError:
        # This is how Optuna answers tables of another version.
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


def _require_file(engine: Engine, file: SqliteFile) -> None:
    """Refuse to connect if the file was moved away. SQLite would make an empty one."""
    path = file.path.absolute()

    @event.listens_for(engine, "do_connect")
    def check(*_: object) -> None:
        if not path.is_file():
            missing = sqlite3.OperationalError(f"{file.path} is not there any more")
            missing.sqlite_errorname = "SQLITE_CANTOPEN"
            raise missing


class _OneTransaction(sqlite3.Connection):
    """A connection that stays within the transaction that was begun on it."""

    def commit(self) -> None:
        """Do nothing: Optuna commits after each table."""

    def rollback(self) -> None:
        """Do nothing: SQLAlchemy rolls back when it is done with a connection."""


def make_tables(file: SqliteFile) -> bool:
    """Let Optuna make its tables, all at once or not at all; return whether it made them.

    Optuna alone makes them one by one. If it is killed, it leaves a file with some tables, without
    an index or that nobody can read. Such a file is made anew here. A file that has all tables, or
    tables of another program, is left as it is.
    """
    opened = sqlite3.connect(
        file.name, LOCK_SECONDS, isolation_level=None, uri=file.is_uri, factory=_OneTransaction
    )
    # An unfinished transaction is rolled back when the connection is closed.
    with closing(opened) as connection:
        if not is_half_made(connection):
            return False
        connection.execute("BEGIN IMMEDIATE")
        # Another process may have made the tables since.
        if not is_half_made(connection):
            return False
        for table in sorted(tables_in(connection)):
            connection.execute(f"DROP TABLE {table}")
        arguments = {"creator": lambda: connection, "poolclass": StaticPool}
        # To check the version of tables reads Optuna's history of them, which takes 25 ms.
        optuna.storages.RDBStorage("sqlite://", arguments, skip_compatibility_check=True)
        connection.execute("COMMIT")
    return True

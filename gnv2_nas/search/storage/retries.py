"""Repeat a call while a database is away, locked or full; Ctrl-C takes effect between two calls."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
import optuna
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)  # fmt: skip

from gnv2_nas.errors import StorageError
from gnv2_nas.interrupts import DelayedInterrupt
from gnv2_nas.search.storage.url import remove_secrets

FULL = "free some space on its disk"
LOCKED = "end the program that has locked it"
READ_ONLY = "make the file writable, or move it back to where it was"
MISSING = "move the file back to where it was"
DAMAGED = "check the disk and restore the file from a copy"
GONE = "check that the database server is running and reachable"
STANDBY = "check that the database server is the primary one, which can be written to"
UNKNOWN = "see the message of the database"

# SQLite has names for its errors, PostgreSQL the states of the SQL standard, MySQL numbers.
_SQLITE = {
    "SQLITE_FULL": (FULL, False),
    "SQLITE_IOERR": (FULL, False),
    "SQLITE_BUSY": (LOCKED, True),
    "SQLITE_LOCKED": (LOCKED, True),
    "SQLITE_READONLY": (READ_ONLY, False),
    "SQLITE_CANTOPEN": (MISSING, False),
    "SQLITE_CORRUPT": (DAMAGED, False),
    "SQLITE_NOTADB": (DAMAGED, False),
}
_STATES = {"53100": (FULL, False), "25006": (STANDBY, True)}
"""The second is that of a standby that has not taken over yet."""
_FULL_NUMBERS = (1021, 1114)
_WRONG_URL = (
    "does not exist", "authentication failed", "no password supplied", "pg_hba.conf",
    "Name or service not known", "Access denied", "Unknown database", "Unknown MySQL server host",
)  # fmt: skip
"""What servers and drivers say about a wrong host, database, user or password. They give no state
for what happens before there is a connection."""


class DatabaseFailureError(Exception):
    """A call to the database failed.

    Args:
        reason: the message of the database, on one line and without secrets.
        advice: what would help.
        is_temporary: whether the same call may succeed later. False for mistakes in the call.
        passes: whether the trouble may end without help, such as a lock.
    """

    def __init__(self, reason: str, advice: str, *, is_temporary: bool, passes: bool) -> None:
        super().__init__(reason)
        self.reason, self.advice = reason, advice
        self.is_temporary, self.passes = is_temporary, passes

    @property
    def may_open_later(self) -> bool:
        """Whether the database may be opened later, without help."""
        return self.passes and not any(words in self.reason for words in _WRONG_URL)


DATABASE_ERRORS = (
    DatabaseFailureError, SQLAlchemyError, optuna.exceptions.StorageInternalError, sqlite3.Error,
)  # fmt: skip
"""All exceptions that `explain_failure` takes."""


def explain_failure(error: BaseException, url: str) -> DatabaseFailureError:
    """One of `DATABASE_ERRORS` with advice.

    Args:
        error: what was raised. Optuna's own exception has SQLAlchemy's as its cause.
        url: of the database. Drivers may repeat its secrets, which are masked.
    """
    if isinstance(error, DatabaseFailureError):
        return error
    if isinstance(error.__cause__, SQLAlchemyError):
        error = error.__cause__
    original = getattr(error, "orig", None) or error
    reason = remove_secrets(" ".join(str(original).split()), url)
    is_temporary = isinstance(error, OperationalError | InterfaceError) or (
        isinstance(error, DBAPIError) and error.connection_invalidated
    )
    name: str | None = getattr(original, "sqlite_errorname", None)
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    number = original.args[0] if original.args else None
    if name is not None:
        # An extended name, such as SQLITE_IOERR_WRITE, begins with the plain one.
        advice, passes = _SQLITE.get("_".join(name.split("_")[:2]), (UNKNOWN, False))
    elif state in _STATES:
        advice, passes = _STATES[state]
        is_temporary = True
    elif number in _FULL_NUMBERS:
        advice, passes = FULL, False
    else:
        advice, passes = (GONE, True) if is_temporary else (UNKNOWN, False)
    return DatabaseFailureError(reason, advice, is_temporary=is_temporary, passes=passes)


def replace_failures(engine: Engine, url: str) -> None:
    """Let failed calls on `engine` raise `DatabaseFailureError`.

    Optuna repeats a call up to five times, seconds apart, when it sees SQLAlchemy's exceptions.
    `persist` does that here, and lets an interrupt end the waiting.
    """

    @event.listens_for(engine, "handle_error")
    def replace(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        # Optuna itself handles the same key written twice, and SQLAlchemy the ping of a connection.
        if error is None or isinstance(error, IntegrityError) or context.is_pre_ping:
            return
        failure = explain_failure(error, url)
        failure.is_temporary |= context.is_disconnect
        raise failure


Answer = TypeVar("Answer")

_logger = logging.getLogger(__name__)


class Patience(msgspec.Struct, frozen=True):
    """How long a failing call is repeated, in seconds."""

    passing: float = 60.0
    """For a trouble that may end without help: a server that restarts, a locked file."""
    lasting: float = 3.0
    """For other trouble: a full disk, a missing file."""
    first: float = 0.1
    """Wait before the second attempt. Each wait is twice as long as the one before …"""
    longest: float = 5.0
    """… up to this."""

    def limit(self, failure: DatabaseFailureError) -> float:
        return self.passing if failure.passes else self.lasting

    def waits(self) -> Iterator[float]:
        wait = self.first
        while True:
            yield min(wait, self.longest)
            wait *= 2


PATIENCE = Patience()


def persist(
    call: Callable[[], Answer], patience: Patience, engine: Engine | None, url: str
) -> Answer:
    """Call a function, again and again while the database fails for a time.

    An interrupt takes effect after the attempt, or ends the wait between two.

    Args:
        call: must leave nothing behind when it fails, or find what it left.
        patience: how long to repeat it.
        engine: its connections are closed before each new attempt. None while the database is
            opened: only what passes without help is waited for then, and no mistake in the URL.
        url: of the database.

    Raises:
        StorageError: the trouble lasted too long, or repeating the call cannot help.
    """
    started = time.monotonic()
    for wait in patience.waits():
        try:
            with DelayedInterrupt():
                return call()
        except DATABASE_ERRORS as error:
            failure = explain_failure(error, url)
            tried = time.monotonic() - started
            left = patience.limit(failure) - tried
            helps = failure.is_temporary and (engine is not None or failure.may_open_later)
            if left <= 0 or not helps:
                times = f" (tried for {tried:.0f} s)" if helps else ""
                raise StorageError(
                    f"the study database failed: {failure.reason}{times}; "
                    f"finished trials are kept: {failure.advice}, then run the same command again"
                ) from None
        if wait == patience.first:
            _logger.warning(
                "the study database failed: %s; trying again for %.0f s", failure.reason, left
            )
        time.sleep(min(wait, left))
        if engine is not None:
            engine.dispose()
    raise AssertionError("unreachable: `waits` has no end")

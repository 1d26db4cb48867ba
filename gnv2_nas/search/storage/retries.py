"""Transactions tried again while a database is away, locked or full; Ctrl-C between two of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
import optuna
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from gnv2_nas.errors import StorageError
from gnv2_nas.interrupts import DelayedInterrupt
from gnv2_nas.search.storage.url import remove_secrets

Answer = TypeVar("Answer")

_logger = logging.getLogger(__name__)


class Patience(msgspec.Struct, frozen=True):
    """How long a failing transaction is tried again; all in seconds."""

    passing: float = 60.0
    """For what passes: a server that restarts, a file that another program has locked."""
    lasting: float = 3.0
    """For what seldom passes without help: a full disk, a file that is not there."""
    first: float = 0.1
    """Before the second attempt; each further wait is twice as long …"""
    longest: float = 5.0
    """… up to this."""

    def limit(self, refusal: Refusal) -> float:
        return self.passing if refusal.passes else self.lasting

    def waits(self) -> Iterator[float]:
        wait = self.first
        while True:
            yield min(wait, self.longest)
            wait *= 2


PATIENCE = Patience()


def persist(
    transaction: Callable[[], Answer], patience: Patience, renew: Callable[[], None], url: str
) -> Answer:
    """Run a transaction, again and again while the database refuses for a time.

    An interrupt waits for the end of an attempt, and ends the waiting between two.

    Args:
        transaction: leaves nothing behind when it fails, or can find what it left.
        patience: how long it is tried.
        renew: is called before each new attempt, to drop broken connections.
        url: of the database, whose secrets are not repeated.

    Raises:
        StorageError: the database refused to the end, or what it refused cannot be helped.
    """
    started = time.monotonic()
    for wait in patience.waits():
        try:
            with DelayedInterrupt():
                return transaction()
        except DATABASE_ERRORS as error:
            refusal = refusal_of(error, url)
            tried = time.monotonic() - started
            left = patience.limit(refusal) - tried
            if left <= 0 or not is_temporary(error):
                raise _given_up(refusal, tried) from None
        if wait == patience.first:
            _logger.warning(
                "the study database refuses: %s; trying again for %.0f s", refusal.reason, left
            )
        time.sleep(min(wait, left))
        renew()
    raise AssertionError("waits do not end")


def _given_up(refusal: Refusal, tried: float) -> StorageError:
    return StorageError(
        f"the study database refused: {refusal.reason} (tried for {tried:.0f} s); finished trials "
        f"are kept: {refusal.advice}, then the same command goes on"
    )


DATABASE_ERRORS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)
"""What SQLAlchemy raises, and what Optuna makes of it."""


class Refusal(msgspec.Struct, frozen=True):
    """A failure of the database, in words."""

    reason: str
    """What the database said, on one line."""
    advice: str
    """What would help."""
    passes: bool = False
    """Whether it may be over in a moment, without anybody's help."""


FULL = "make room on its disk"
LOCKED = "end the program that holds it"
READ_ONLY = "make the file writable again, or bring it back if it was moved"
MISSING = "bring the file back"
DAMAGED = "check the disk and restore the file from a copy"
GONE = "see to it that the server runs and can be reached"
UNKNOWN = "see what the message says"

# SQLite names its errors, PostgreSQL has the standard's states, MySQL has numbers.
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
_FULL_STATES = ("53100",)
_FULL_NUMBERS = (1021, 1114)


def refusal_of(error: Exception, url: str) -> Refusal:
    """What is to be said of one of `DATABASE_ERRORS`, or of SQLite's own.

    Args:
        url: of the database, whose secrets the driver may repeat.
    """
    cause = error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error
    original = getattr(cause, "orig", None) or cause
    reason = remove_secrets(" ".join(str(original).split()), url)
    name: str | None = getattr(original, "sqlite_errorname", None)
    if name is not None:
        # Extended names, such as SQLITE_IOERR_WRITE, begin with the plain one.
        plain = "_".join(name.split("_")[:2])
        advice, passes = _SQLITE.get(plain, (UNKNOWN, False))
        return Refusal(reason, advice, passes)
    number = original.args[0] if original.args else None
    if getattr(original, "sqlstate", None) in _FULL_STATES or number in _FULL_NUMBERS:
        return Refusal(reason, FULL)
    return Refusal(reason, GONE, passes=True) if is_temporary(error) else Refusal(reason, UNKNOWN)


def is_temporary(error: Exception) -> bool:
    """Whether the same transaction may succeed another time: not a mistake in it."""
    cause = error.__cause__ if isinstance(error.__cause__, SQLAlchemyError) else error
    if isinstance(cause, DBAPIError) and cause.connection_invalidated:
        return True
    return isinstance(cause, OperationalError | InterfaceError)

"""Why a database refused, how long that is worth waiting for, and what to do about it."""

from __future__ import annotations

import msgspec
import optuna
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError

from gnv2_nas.search.storage.url_secrets import without_secrets

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
    reason = without_secrets(" ".join(str(original).split()), url)
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

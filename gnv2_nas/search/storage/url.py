"""The one reading of a storage URL: what is opened, and what of it must not be shown."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

import msgspec

from gnv2_nas.errors import StudyError
from gnv2_nas.search.storage.url_secrets import masked

if TYPE_CHECKING:
    from sqlalchemy import URL

PREFIX = "sqlite:///"
SCHEMA_VERSION = 12
"""Of the tables of Optuna 5."""
_PLAIN = re.compile(re.escape(PREFIX) + r"([\w./-]*[\w-])", re.ASCII)
"""A SQLite file whose name means itself: SQLAlchemy, which takes a while to load, is not asked."""
_OPTIONS = {
    "uri", "timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements",
}  # fmt: skip
"""What SQLAlchemy hands to Python's sqlite3."""
_NO_FILE = "it would be kept in memory, and every trial lost at the end"


class SqliteFile(msgspec.Struct, frozen=True):
    """The file that SQLAlchemy opens for a SQLite URL."""

    path: Path
    """As the URL has it: relative to the working directory, or absolute."""
    name: str
    """What SQLite is given: a path, or a URI with options."""
    is_uri: bool = False
    is_for_reading: bool = False
    """Whether the URL itself asks for a connection that does not write."""


def sqlite_file(storage: str) -> SqliteFile | None:
    """The file of a storage URL; None for other databases, which SQLAlchemy alone opens.

    Raises:
        StudyError: not a URL, or a SQLite database that is no file.
    """
    plain = _PLAIN.fullmatch(storage)
    if plain is not None:
        return SqliteFile(Path(plain[1]), plain[1])
    url = _parsed(storage)
    if url.get_backend_name() != "sqlite" or url.get_driver_name() != "pysqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise _refused(storage, _NO_FILE)
    name, is_uri = _opened(storage, url)
    if not is_uri or not name.startswith("file:"):
        return SqliteFile(Path(url.database if not is_uri else name), name)
    return _file_of_uri(storage, name)


def for_optuna(storage: str) -> str:
    """The URL as Optuna shall be given it: it formats the text with its `SCHEMA_VERSION`."""
    text = _filled(storage)
    file = sqlite_file(storage)
    if file is not None and not file.is_uri and "?" in storage:
        # SQLAlchemy ignores other options than these, with a warning at each connection.
        url = _parsed(storage)
        text = url.difference_update_query(set(url.query) - _OPTIONS).render_as_string()
    return text.replace("{", "{{").replace("}", "}}")


def _filled(storage: str) -> str:
    return storage.replace("{SCHEMA_VERSION}", str(SCHEMA_VERSION))


def _parsed(storage: str) -> URL:
    if "://" not in storage:
        shown = masked(storage)
        raise StudyError(f"--storage {shown!r} is not a URL; for a file write {PREFIX + shown!r}")
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(_filled(storage))
    except (ArgumentError, ValueError):
        raise _refused(
            storage, "it is not a URL of the form KIND://USER:PASSWORD@HOST:PORT/DATABASE"
        ) from None


def _opened(storage: str, url: URL) -> tuple[str, bool]:
    """What SQLAlchemy's dialect gives to SQLite, and whether as a URI."""
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
    from sqlalchemy.exc import ArgumentError

    try:
        with warnings.catch_warnings(action="ignore"):
            arguments, options = SQLiteDialect_pysqlite().create_connect_args(url)
    except (ArgumentError, ValueError):
        raise _refused(storage, "it is not a SQLite URL") from None
    return str(arguments[0]), bool(options.get("uri", False))


def _file_of_uri(storage: str, uri: str) -> SqliteFile:
    """As SQLite reads it: https://www.sqlite.org/uri.html."""
    address, _, query = uri.removeprefix("file:").partition("#")[0].partition("?")
    if address.startswith("//"):
        host, slash, rest = address[2:].partition("/")
        if host not in ("", "localhost"):
            raise _refused(storage, f"the host of a file URI must be empty, not {host!r}")
        address = slash + rest
    options = dict(parse_qsl(query))
    path = unquote(address)
    if path in ("", ":memory:") or "memory" in options.get("mode", "") or "vfs" in options:
        raise _refused(storage, _NO_FILE if "vfs" not in options else "`vfs` is not supported")
    reading = options.get("mode") == "ro" or options.get("immutable", "0") not in ("0", "")
    return SqliteFile(Path(path), uri, is_uri=True, is_for_reading=reading)


def _refused(storage: str, reason: str) -> StudyError:
    return StudyError(
        f"--storage {masked(storage)!r}: {reason}; for a file write {PREFIX}studies.db"
    )

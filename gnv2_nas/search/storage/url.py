"""Read storage URLs: find the file that is opened, and mask secrets before a URL is shown."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

import msgspec

from gnv2_nas.errors import StudyError

if TYPE_CHECKING:
    from sqlalchemy import URL


import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from gnv2_nas.commands import join_command

if TYPE_CHECKING:
    from sqlalchemy import URL


PREFIX = "sqlite:///"
SCHEMA_VERSION = 12
"""Version of the tables of Optuna 5."""
_PLAIN = re.compile(re.escape(PREFIX) + r"([\w./-]*[\w-])", re.ASCII)
"""A URL of a SQLite file that can be read without SQLAlchemy, which is slow to import."""
_OPTIONS = {
    "uri", "timeout", "isolation_level", "detect_types", "check_same_thread", "cached_statements",
}  # fmt: skip
"""Options that SQLAlchemy passes to Python's sqlite3."""
_NO_FILE = "the database would be in memory, and every trial lost at the end"


class SqliteFile(msgspec.Struct, frozen=True):
    """The file that SQLAlchemy opens for a SQLite URL."""

    path: Path
    """Relative to the working directory, or absolute."""
    name: str
    """What SQLite gets: a path, or a URI with options."""
    is_uri: bool = False
    is_for_reading: bool = False
    """Whether the URL asks for a connection that does not write."""


def sqlite_file(storage: str) -> SqliteFile | None:
    """The file of a storage URL; None for databases other than SQLite.

    Raises:
        StudyError: it is not a URL, or the SQLite database is not a file.
    """
    plain = _PLAIN.fullmatch(storage)
    if plain is not None:
        return SqliteFile(Path(plain[1]), plain[1])
    url = _parse(storage)
    if url.get_backend_name() != "sqlite" or url.get_driver_name() != "pysqlite":
        return None
    if not url.database or url.database == ":memory:":
        raise _refuse(storage, _NO_FILE)
    name, is_uri = _sqlite_arguments(storage, url)
    if not is_uri or not name.startswith("file:"):
        return SqliteFile(Path(url.database if not is_uri else name), name)
    return _file_of_uri(storage, name)


def for_optuna(storage: str) -> str:
    """The URL in the form for Optuna, which formats the text with its `SCHEMA_VERSION`."""
    text = _fill_version(storage)
    file = sqlite_file(storage)
    if file is not None and not file.is_uri and "?" in storage:
        # SQLAlchemy ignores other options, with a warning at each connection.
        url = _parse(storage)
        text = url.difference_update_query(set(url.query) - _OPTIONS).render_as_string()
    return text.replace("{", "{{").replace("}", "}}")


def _fill_version(storage: str) -> str:
    return storage.replace("{SCHEMA_VERSION}", str(SCHEMA_VERSION))


def _parse(storage: str) -> URL:
    if "://" not in storage:
        shown = mask_url(storage)
        raise StudyError(f"--storage {shown!r} is not a URL; for a file write {PREFIX + shown!r}")
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(_fill_version(storage))
    except (ArgumentError, ValueError):
        raise _refuse(
            storage, "it is not a URL of the form KIND://USER:PASSWORD@HOST:PORT/DATABASE"
        ) from None


def _sqlite_arguments(storage: str, url: URL) -> tuple[str, bool]:
    """What SQLAlchemy passes to SQLite, and whether it is a URI."""
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
    from sqlalchemy.exc import ArgumentError

    try:
        with warnings.catch_warnings(action="ignore"):
            arguments, options = SQLiteDialect_pysqlite().create_connect_args(url)
    except (ArgumentError, ValueError):
        raise _refuse(storage, "it is not a SQLite URL") from None
    return str(arguments[0]), bool(options.get("uri", False))


def _file_of_uri(storage: str, uri: str) -> SqliteFile:
    """Read a URI like SQLite does, see https://www.sqlite.org/uri.html."""
    address, _, query = uri.removeprefix("file:").partition("#")[0].partition("?")
    if address.startswith("//"):
        host, slash, rest = address[2:].partition("/")
        if host not in ("", "localhost"):
            raise _refuse(storage, f"the host of a file URI must be empty, not {host!r}")
        address = slash + rest
    options = dict(parse_qsl(query))
    path = unquote(address)
    if path in ("", ":memory:") or "memory" in options.get("mode", "") or "vfs" in options:
        raise _refuse(storage, _NO_FILE if "vfs" not in options else "`vfs` is not supported")
    reading = options.get("mode") == "ro" or options.get("immutable", "0") not in ("0", "")
    return SqliteFile(Path(path), uri, is_uri=True, is_for_reading=reading)


def _refuse(storage: str, reason: str) -> StudyError:
    return StudyError(
        f"--storage {mask_url(storage)!r}: {reason}; for a file write {PREFIX}studies.db"
    )


MASK = "***"
_OPTION = "--storage"
_SHORT = 4
"""Shorter secrets are masked only as whole words. A mask within a word would reveal them."""
_NO_SECRET = frozenset(
    {
        "host", "hostaddr", "port", "user", "username", "db", "dbname", "database", "service",
        "unix_socket", "charset", "collation", "uri", "mode", "cache", "immutable", "nolock",
        "psow", "timeout", "isolation_level", "detect_types", "cached_statements",
        "check_same_thread", "vfs", "connect_timeout", "read_timeout", "write_timeout", "sslmode",
        "sslrootcert", "sslcert", "sslkey", "ssl_ca", "ssl_cert", "ssl_key", "application_name",
        "target_session_attrs", "client_encoding", "keepalives", "keepalives_idle",
        "channel_binding", "gssencmode",
    }
)  # fmt: skip
"""Options of a URL whose values are shown. All others are masked, because each driver has its own
names for passwords and tokens."""


def mask_url(storage: str) -> str:
    """Mask the secrets of a URL, and everything that may be one in a text that is no URL."""
    if _is_plain(storage):
        return storage
    url = _url(storage)
    if url is None:
        kind = re.match(r"\s*([\w+]*)://", storage)
        if kind is not None:
            return f"{kind[1]}://{MASK}"
        return MASK if re.search("[@=]|://", storage) else storage
    if storage.isprintable() and not any(_secrets(url, storage)):
        return storage
    hidden = {
        key if key.isidentifier() else MASK: (
            value if key.lower() in _NO_SECRET else _mask_value(value)
        )
        for key, value in url.query.items()
    }
    url = url.set(query=hidden)
    if url.password is not None:
        url = url.set(password=MASK)
    if _may_be_longer(url, storage):
        url = url.set(host=MASK, port=None, database="", query={})
    return url.render_as_string(hide_password=True).replace(quote_plus(MASK), MASK)


def remove_secrets(text: str, storage: str) -> str:
    """Mask the secrets of a URL in the message of a driver."""
    if _is_plain(storage):
        return text
    text = text.replace(storage, mask_url(storage))
    url = _url(storage)
    secrets = _secrets(url, storage) if url is not None else [storage.partition("://")[2]]
    for form in sorted(set(_forms(secrets)), key=len, reverse=True):
        pattern = re.escape(form)
        text = re.sub(pattern if len(form) >= _SHORT else rf"(?<!\w){pattern}(?!\w)", MASK, text)
    return text


def mask_command(command: str) -> str:
    """Mask the secrets of every URL in a command line."""
    if "://" not in command and _OPTION not in command:
        return command
    try:
        words = shlex.split(command)
    except ValueError:
        return re.sub(r"://\S*", f"://{MASK}", command)
    shown = [_mask_word(before, word) for before, word in zip(["", *words], words, strict=False)]
    return command if shown == words else join_command(shown)


def _mask_word(before: str, word: str) -> str:
    option = re.match(r"--[\w-]+=", word)
    name = option[0] if option else ""
    value = word.removeprefix(name)
    is_storage = name == f"{_OPTION}=" or before == _OPTION
    return name + (mask_url(value) if is_storage or "://" in value else value)


def _is_plain(storage: str) -> bool:
    """Whether a URL of a file cannot hold a secret; then SQLAlchemy is not imported."""
    return re.fullmatch(r"(sqlite:///)?[\w./-]*", storage) is not None


def _url(storage: str) -> URL | None:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(storage)
    except (ArgumentError, ValueError):
        return None


def _secrets(url: URL, storage: str) -> Iterator[str]:
    if url.password:
        yield str(url.password)
    if _may_be_longer(url, storage):
        after_user = storage.partition("://")[2].partition(":")[2]
        yield after_user.rpartition("@")[0]
        # What is read as host or options may be part of the password.
        yield from filter(None, re.split("[@?&=/:#]", after_user))
        yield from filter(None, (url.host, url.database, *url.query))
    for key, value in url.query.items():
        if key.lower() not in _NO_SECRET or _may_be_longer(url, storage):
            yield from (value,) if isinstance(value, str) else value


def _may_be_longer(url: URL, storage: str) -> bool:
    """Whether the password may be longer than SQLAlchemy reads it.

    An @ that is not written as %40 ends it; the rest is read as host, database and options.
    """
    after_user = storage.partition("://")[2].partition(":")[2]
    return url.password is not None and after_user.count("@") > 1


def _mask_value(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    return MASK if isinstance(value, str) else (MASK,) * len(value)


def _forms(secrets: Iterable[str]) -> Iterator[str]:
    """Each secret as Python and URLs write it, and the values within it: "-c key=secret"."""
    for secret in secrets:
        inner = [value for _, value in parse_qsl(secret.replace(";", "&").replace(" ", "&"))]
        for each in (secret, *inner):
            one_line = " ".join(each.split())
            written = (each, one_line, repr(each)[1:-1], quote(each), quote(each, safe=""))
            forms = (*written, quote_plus(each), quote(each, safe=" +"))
            yield from filter(None, (*forms, *map(quote, forms)))

"""What must not be shown of a database URL: reports and messages are passed on."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, quote_plus

from gnv2_nas.commands import command_line

if TYPE_CHECKING:
    from sqlalchemy import URL

MASK = "***"
_OPTION = "--storage"
_SHORT = 4
"""A shorter secret is hidden where it is a word of its own: within words it would be guessed."""
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
"""Options of a URL whose values are shown. Those of all others are masked: each driver has its
own names for passwords and tokens."""


def masked(storage: str) -> str:
    """A URL with its secrets masked; what is not one loses all that may hold a secret."""
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
            value if key.lower() in _NO_SECRET else _each_masked(value)
        )
        for key, value in url.query.items()
    }
    url = url.set(query=hidden)
    if url.password is not None:
        url = url.set(password=MASK)
    if _may_go_on(url, storage):
        url = url.set(host=MASK, port=None, database="", query={})
    return url.render_as_string(hide_password=True).replace(quote_plus(MASK), MASK)


def without_secrets(text: str, storage: str) -> str:
    """What a driver says, without the secrets of the URL that it was given."""
    if _is_plain(storage):
        return text
    text = text.replace(storage, masked(storage))
    url = _url(storage)
    secrets = _secrets(url, storage) if url is not None else [storage.partition("://")[2]]
    for form in sorted(set(_forms(secrets)), key=len, reverse=True):
        pattern = re.escape(form)
        text = re.sub(pattern if len(form) >= _SHORT else rf"(?<!\w){pattern}(?!\w)", MASK, text)
    return text


def command_without_secrets(command: str) -> str:
    """A command line in which the secrets of every URL are masked."""
    if "://" not in command and _OPTION not in command:
        return command
    try:
        words = shlex.split(command)
    except ValueError:
        return re.sub(r"://\S*", f"://{MASK}", command)
    shown = [
        _word_without_secrets(before, word)
        for before, word in zip(["", *words], words, strict=False)
    ]
    return command if shown == words else command_line(shown)


def _word_without_secrets(before: str, word: str) -> str:
    option = re.match(r"--[\w-]+=", word)
    name = option[0] if option else ""
    value = word.removeprefix(name)
    is_storage = name == f"{_OPTION}=" or before == _OPTION
    return name + (masked(value) if is_storage or "://" in value else value)


def _is_plain(storage: str) -> bool:
    """Whether a URL of a file has no room for a secret; SQLAlchemy is not loaded for it."""
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
    if _may_go_on(url, storage):
        after_user = storage.partition("://")[2].partition(":")[2]
        yield after_user.rpartition("@")[0]
        # Whatever is read as host or options may be replaced first, and end in the password.
        yield from filter(None, re.split("[@?&=/:#]", after_user))
        yield from filter(None, (url.host, url.database, *url.query))
    for key, value in url.query.items():
        if key.lower() not in _NO_SECRET or _may_go_on(url, storage):
            yield from (value,) if isinstance(value, str) else value


def _may_go_on(url: URL, storage: str) -> bool:
    """Whether a password may be longer than what is read as one: an @ in it that is not written
    as %40 ends it, and the rest is read as host, database and options."""
    after_user = storage.partition("://")[2].partition(":")[2]
    return url.password is not None and after_user.count("@") > 1


def _each_masked(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    return MASK if isinstance(value, str) else (MASK,) * len(value)


def _forms(secrets: Iterable[str]) -> Iterator[str]:
    """Each as it is, as Python and URLs write it, and the values within it: "-c key=secret"."""
    for secret in secrets:
        inner = [value for _, value in parse_qsl(secret.replace(";", "&").replace(" ", "&"))]
        for each in (secret, *inner):
            one_line = " ".join(each.split())
            written = (each, one_line, repr(each)[1:-1], quote(each), quote(each, safe=""))
            forms = (*written, quote_plus(each), quote(each, safe=" +"))
            yield from filter(None, (*forms, *map(quote, forms)))

"""No secret of a database URL is shown, whatever SQLAlchemy accepts as one."""

from __future__ import annotations

import logging
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import OperationalError

from gnv2_nas.commands import join_command
from gnv2_nas.errors import Gnv2NasError, StorageError
from gnv2_nas.report.study_page.write import write_report
from gnv2_nas.search.storage.database import open_database
from gnv2_nas.search.storage.retries import Patience, persist
from gnv2_nas.search.storage.sqlite import check_database, require_study
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.storage.url import mask_command, mask_url, remove_secrets
from tests.search.study_helpers import IMPATIENT, PROVENANCE, append, opened

SECRET = "s3cr3t"  # noqa: S105
"""Part of every password."""
AROUND = st.text("/:@ %?#&=+'\"ü½$\\{};", max_size=4)
PASSWORDS = st.builds(lambda before, after: before + SECRET + after, AROUND, AROUND)
KEYS = st.sampled_from(
    ["password", "passwd", "pwd", "PASSWORD", "sslpassword", "token", "options", "odbc_connect",
     "auth-key", "ssl_key_passphrase"]
)  # fmt: skip
USERS = st.sampled_from(["u", "", "a b", "ü", "u%3Av"])
KINDS = st.sampled_from(["postgresql+psycopg", "mysql+pymysql", "postgresql", "sqlite+pysqlcipher"])


def in_user_information(kind: str, user: str, password: str, written: str) -> str:
    return f"{kind}://{user}:{written or quote(password, safe='')}@host:5432/db?connect_timeout=1"


@st.composite
def urls(draw: st.DrawFn) -> str:
    kind, user, password = draw(KINDS), draw(USERS), draw(PASSWORDS)
    how = draw(st.sampled_from(["quoted", "raw", "query", "both"]))
    if how == "query":
        return f"{kind}://host/db?user=u&{draw(KEYS)}={quote_plus(password)}"
    url = in_user_information(kind, user, password, "" if how == "quoted" else password)
    if how == "both":
        url += f"&{draw(KEYS)}={quote_plus(password)}&{draw(KEYS)}={quote_plus(password)}"
    return url


KNOWN = (
    "postgresql+psycopg://u:s3cr3t/pw@host/db",
    "postgresql+psycopg://:s3cr3t@host/db",
    "postgresql+psycopg://a b:s3cr3t@host/db",
    "postgresql+psycopg://host/db?user=u&password=s3cr3t",
    "postgresql://host/db?password=s3cr3t&password=s3cr3t2",
    "postgresql://u:p@s3cr3t@host/db",
    "postgresql://u:p@s3cr3t/x@host/db",
    "postgresql://u:p@s3cr3t:x@host/db",
    "postgresql://u:s3cr3t",
    "postgresql:u:s3cr3t@host/db",
    "postgresql//u:s3cr3t@host/db",
    "host=h password=s3cr3t",
    "sqlite:///x.db?key=s3cr3t",
    "postgresql://u:x@host/db?a=b\ns3cr3t",
)


@pytest.mark.parametrize("url", KNOWN)
def test_known_forms_are_masked(url):
    assert SECRET not in mask_url(url)
    command = join_command(["gnv2-nas", "search", f"--storage={url}"])
    assert SECRET not in mask_command(command)


@settings(max_examples=60, deadline=None)
@given(urls())
@example("postgresql+psycopg://u:s3cr3t/pw@host/db")
def test_a_url_is_shown_without_its_secrets(url):
    shown = mask_url(url)
    assert SECRET not in shown
    assert mask_url(shown) == shown
    for words in (["--storage", url], [f"--storage={url}"]):
        assert SECRET not in mask_command(join_command(["gnv2-nas", "search", *words]))


@settings(max_examples=60, deadline=None)
@given(urls())
@example("postgresql+psycopg://u:@?s3cr3t&:@host:5432/db?connect_timeout=1")
def test_what_a_driver_says_is_repeated_without_the_secrets(url):
    try:
        parsed = make_url(url)
    except ValueError:
        parsed = None
    said = [url, repr(url), quote(url), f"connection to {url} failed"]
    if parsed is not None and parsed.password:
        password = str(parsed.password)
        said += [f"bad password {password!r}", f"dsn {password}", quote(password, safe="")]
    for text in said:
        assert SECRET not in remove_secrets(text, url)


@settings(max_examples=30, deadline=None)
@given(urls())
def test_a_failure_is_told_without_the_secrets(url):
    error = OperationalError("SELECT 1", {}, Exception(f"cannot reach {url}"))

    def fail() -> None:
        raise error

    with pytest.raises(StorageError) as caught:
        persist(fail, Patience(passing=0, lasting=0), create_engine("sqlite://"), url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", KNOWN)
def test_nothing_that_is_said_while_a_database_is_opened_repeats_a_secret(
    folder, url, caplog, capfd
):
    caplog.set_level(logging.DEBUG)
    message = ""
    try:
        check_database(url, write=True)
        open_database(url.replace("host", "127.0.0.1:1"), Patience(passing=0))
        require_study(url, "demo")
    except Gnv2NasError as error:
        message = str(error)
    assert message or url.startswith("sqlite")
    said = capfd.readouterr()
    assert SECRET not in f"{message}{caplog.text}{said.out}{said.err}"


@pytest.mark.parametrize(
    "url",
    [
        *KNOWN[::5],
        "sqlite:///né.db?hexkey=s3cr3t",
        *(pytest.param(url, marks=pytest.mark.slow) for url in KNOWN if url not in KNOWN[::5]),
    ],
)
def test_no_secret_reaches_a_study_or_its_reports(folder, url):
    """Also those that an older version kept in the command of a study."""
    command = join_command(["gnv2-nas", "search", "--storage", url])
    provenance = msgspec.structs.replace(PROVENANCE, command=command)
    append(opened("sqlite:///studies.db", provenance=provenance), 0, 1)
    record = Store(open_database("sqlite:///studies.db"), "demo", url, IMPATIENT).record()
    assert SECRET not in repr(record)
    files = write_report(record, folder / "reports")
    for file in (files.html, files.csv, files.json):
        assert SECRET not in file.read_text()


def test_what_holds_no_secret_is_shown_as_typed():
    for url in (
        "sqlite:///studies.db", "sqlite:///a%20b.db?timeout=5", "postgresql://u@/db?host=/tmp/x",
        "mysql+pymysql://u@h/db?charset=utf8mb4", "s3://bucket/images", "studies.db",
    ):  # fmt: skip
        assert mask_url(url) == url
    command = "gnv2-nas search --data 'a b' --storage sqlite:///x.db"
    assert mask_command(command) == command
    assert (
        mask_url("postgresql://u:pw@h/db?sslmode=require")
        == "postgresql://u:***@h/db?sslmode=require"
    )


def test_a_short_password_does_not_show_in_what_it_hides():
    url = "postgresql://u:e@host/db"
    assert remove_secrets("password e refused", url) == "password *** refused"

"""One reading of a storage URL: what is checked is what SQLAlchemy opens."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gnv2_nas.errors import StudyError
from gnv2_nas.search.storage.sqlite import check_database, require_study
from gnv2_nas.search.storage.studies import open_study, study_names
from gnv2_nas.search.storage.url import sqlite_file
from tests.search.study_helpers import append, opened

IN_MEMORY = (
    "sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///%3Amemory%3A", "sqlite:///?timeout=5",
    "sqlite+pysqlite://", "sqlite+pysqlite:///:memory:", "sqlite:///file::memory:?uri=true",
    "sqlite:///file:q.db?mode=memory&uri=true", "sqlite:///file:?uri=1", "sqlite:///?uri=true",
    "sqlite:///file:%253Amemory%253A?uri=yes", "sqlite:///:memory:?cache=shared",
)  # fmt: skip


@pytest.mark.parametrize(
    "storage",
    [
        "sqlite:///plain.db",
        "sqlite:///a%20b/x.db",
        "sqlite:///a b/x.db",
        "sqlite:///a%2520b.db",
        "sqlite:///file:q.db",
        "sqlite:///file:q.db?uri=true",
        "sqlite:///file:a%2520b/q.db?uri=true&mode=rwc&timeout=2",
        "sqlite:///q.db?uri=true",
        "sqlite:///{SCHEMA_VERSION}.db",
        "sqlite:///a{b}.db",
        "sqlite:///né.db?timeout=3",
        "sqlite:///~/x.db",
        "sqlite:///a%25b%3F.db?other=1&timeout=3",
        "sqlite+pysqlite:///plain.db",
    ],
)
def test_the_file_that_is_checked_is_the_one_that_is_filled(folder, storage):
    for name in ("a b", "~"):
        (folder / name).mkdir()
    assert not check_database(storage, write=True)
    append(opened(storage), 0)
    (made,) = (path for path in folder.rglob("*") if path.is_file())
    assert sqlite_file(storage).path.resolve() == made
    assert check_database(storage, write=True)
    require_study(storage, "demo")
    assert study_names(storage) == ["demo"]
    assert len(open_study(storage, "demo").frozen_trials()) == 1


@pytest.mark.parametrize("storage", IN_MEMORY)
def test_a_database_in_memory_is_refused_at_once(folder, storage):
    for write in (True, False):
        with pytest.raises(StudyError, match=r"in memory, and every trial lost.*sqlite:///studies"):
            check_database(storage, write=write)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "storage",
    [
        "sqlite://studies.db", "sqlite:///file://host/q.db?uri=true", " sqlite:///x.db",
        "postgresql://host:port/db", "sqlite:///x%20.db?timeout=soon",
        "sqlite:///file:q.db?vfs=memdb&uri=1",
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_refused_in_one_line(folder, storage):
    with pytest.raises(StudyError) as caught:
        check_database(storage, write=True)
    assert "--storage" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_url_for_reading_is_not_written_to(folder):
    append(opened("sqlite:///q.db"), 0)
    storage = "sqlite:///file:q.db?mode=ro&uri=true"
    assert len(open_study(storage, "demo").frozen_trials()) == 1
    with pytest.raises(StudyError, match="for reading only"):
        check_database(storage, write=True)


def test_the_home_folder_is_not_replaced_and_the_refusal_says_so(folder):
    with pytest.raises(StudyError, match="a URL has no ~ for the home folder"):
        check_database("sqlite:///~/studies.db", write=True)


def test_a_plain_name_is_read_as_sqlalchemy_reads_it(folder):
    for name in ("a.db", "./a.db", "a-b_c.1.db", f"{folder}/d.db"):
        file = sqlite_file(f"sqlite:///{name}")
        asked = sqlite_file(f"sqlite:///{name}?timeout=5")
        assert file.path.absolute() == Path(asked.name)
        with closing(sqlite3.connect(file.name)) as connection:
            assert connection.execute("PRAGMA database_list").fetchone()[2] == str(
                asked.path.resolve()
            )

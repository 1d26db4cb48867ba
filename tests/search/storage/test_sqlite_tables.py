"""Tables that a killed program, or a full disk, left half made; and journals left hot."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from gnv2_nas.errors import StorageError, StudyError, UnknownNameError
from gnv2_nas.search.storage.retries import Patience
from gnv2_nas.search.storage.sqlite import TABLES, check_database, require_study, require_trial
from gnv2_nas.search.storage.studies import open_study
from tests.confined import run_python
from tests.search.storage.test_retries import full
from tests.search.study_helpers import append, opened

CHECK = """
import sys
from gnv2_nas.errors import StudyError
from gnv2_nas.search.storage.sqlite import require_study
try:
    require_study("sqlite:///studies.db", "demo")
except StudyError as error:
    sys.exit(str(error))
"""


def objects(file: Path) -> dict[str, str]:
    with closing(sqlite3.connect(file)) as database:
        return dict(database.execute("SELECT name, sql FROM sqlite_master"))


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The file after each statement that changed it while Optuna made the tables one by one."""
    folder = tmp_path_factory.mktemp("cut")
    file, copies = folder / "studies.db", []

    def keep(*_: Any) -> None:
        copy = folder / f"{len(copies)}.db"
        content = file.read_bytes() if file.exists() else b""
        if not copies or copies[-1].read_bytes() != content:
            copy.write_bytes(content)
            copies.append(copy)

    event.listen(Engine, "before_cursor_execute", keep)
    try:
        optuna.storages.RDBStorage(f"sqlite:///{file}").engine.dispose()
    finally:
        event.remove(Engine, "before_cursor_execute", keep)
    keep()
    return copies


def test_a_program_killed_after_any_statement_is_gone_on_with(folder, cut):
    """Every index must be there in the end: names of studies are unique by one."""
    assert len(cut) > 15
    whole = objects(cut[-1])
    for copy in cut:
        shutil.copy(copy, folder / "studies.db")
        storage = "sqlite:///studies.db"
        with pytest.raises(UnknownNameError):
            require_study(storage, "demo")
        check_database(storage, write=True)
        append(opened(storage), 0)
        assert objects(folder / "studies.db") == whole
        require_trial(storage, "demo", 0)
        assert len(open_study(storage, "demo").frozen_trials()) == 1


def test_tables_are_made_all_at_once(folder):
    """A program killed while this one makes them leaves none of them."""
    count = 0

    def fail(*_: Any) -> None:
        nonlocal count
        count -= 1
        if count == 0:
            raise sqlite3.OperationalError("killed")

    event.listen(Engine, "before_cursor_execute", fail)
    try:
        for count in (1, 10, 20, 30):  # noqa: B007  counted down
            with pytest.raises(StorageError):
                opened("sqlite:///studies.db", patience=Patience(passing=0))
            assert objects(folder / "studies.db") == {}
    finally:
        event.remove(Engine, "before_cursor_execute", fail)
    append(opened("sqlite:///studies.db"), 0)


def test_a_disk_that_is_full_while_they_are_made_costs_nothing(folder):
    file = folder / "studies.db"
    file.touch()
    with (
        full(file),
        pytest.raises(StorageError, match="free some space on its disk, then"),
    ):
        opened("sqlite:///studies.db")
    append(opened("sqlite:///studies.db"), 0)
    require_trial("sqlite:///studies.db", "demo", 0)


def test_the_tables_are_those_of_optuna(folder):
    opened("sqlite:///studies.db")
    optuna.storages.RDBStorage("sqlite:///theirs.db").engine.dispose()
    assert objects(folder / "studies.db") == objects(folder / "theirs.db")
    there = objects(folder / "studies.db").items()
    assert {name for name, sql in there if sql and sql.startswith("CREATE TABLE")} == TABLES


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE songs (title TEXT)",
        "CREATE TABLE trials (title TEXT); INSERT INTO trials VALUES ('mine')",
        "CREATE VIEW songs AS SELECT 1",
    ],
)
def test_what_somebody_else_keeps_is_left_alone(folder, cut, statement):
    file = folder / "studies.db"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(f"CREATE TABLE studies (a INTEGER); {statement}")
    before = file.read_bytes()
    with pytest.raises(StudyError, match="but not one of Optuna's"):
        check_database("sqlite:///studies.db", write=True)
    with pytest.raises(StudyError):
        opened("sqlite:///studies.db")
    assert file.read_bytes() == before


def left_in_the_midst(folder: Path, mode: str) -> Path:
    """A database whose writer was killed inside a commit, or before its log was worked in."""
    source, file = folder / "writer", folder / "studies.db"
    source.mkdir()
    append(opened(f"sqlite:///{source}/studies.db"), *range(3))
    writer = sqlite3.connect(source / "studies.db", isolation_level=None)
    with closing(writer):
        writer.execute(f"PRAGMA journal_mode={mode}")
        writer.execute("PRAGMA cache_size=1")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("CREATE TABLE waste (text TEXT)")
        writer.executemany("INSERT INTO waste VALUES (?)", [("x" * 3000,)] * 50)
        if mode == "wal":
            writer.execute("COMMIT")
        for left in source.glob("studies.db*"):
            shutil.copy(left, folder / left.name)
    shutil.rmtree(source)
    assert list(folder.glob(f"studies.db-{'wal' if mode == 'wal' else 'journal'}"))
    return file


@pytest.mark.parametrize("mode", ["delete", "persist", "truncate", "wal"])
@pytest.mark.parametrize("first", ["report", "search"])
def test_what_a_killed_writer_left_is_put_right_by_the_next_command(folder, mode, first):
    left_in_the_midst(folder, mode)
    storage = "sqlite:///studies.db"
    if first == "search":
        assert check_database(storage, write=True)
        opened(storage, "other")
    require_study(storage, "demo")
    require_trial(storage, "demo", 2)
    assert len(open_study(storage, "demo").frozen_trials()) == 3
    assert append(opened(storage), 3) == [3]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_where_nothing_may_be_written_the_file_and_the_remedy_are_named(folder, mode):
    file = left_in_the_midst(folder, mode)
    (folder / "studies.db-shm").unlink(missing_ok=True)
    for each in folder.iterdir():
        each.chmod(0o444)
    folder.chmod(0o555)
    try:
        refused = run_python(CHECK, cwd=folder)
    finally:
        folder.chmod(0o755)
        for each in folder.iterdir():
            each.chmod(0o644)
    suffix = "wal" if mode == "wal" else "journal"
    assert f"left 'studies.db-{suffix}'" in refused.stderr, refused
    assert "make both writable" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert file.exists()

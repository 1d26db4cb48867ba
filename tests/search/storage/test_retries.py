"""Databases that are locked, full, gone, back again: waited for a while, then a clear word."""

from __future__ import annotations

import re
import resource
import signal
import sqlite3
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from gnv2_nas.errors import InputError, StorageError
from gnv2_nas.search.storage.retries import Patience, persist
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.storage.studies import open_study
from tests.search.storage.cut_line import cut_line
from tests.search.study_helpers import IMPATIENT, PATIENT, append, networks, opened

SOON = 0.15
"""Seconds after which a trouble ends by itself."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "studies.db"


@pytest.fixture
def storage(file: Path) -> str:
    """SQLite itself waits for a moment only."""
    return f"sqlite:///{file}?timeout=0.05"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program is in a transaction of its own."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def full(file: Path) -> Iterator[None]:
    """No file grows beyond what this one is: as a full disk, for this process alone."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def moved_away(file: Path) -> Iterator[None]:
    elsewhere = file.with_name("elsewhere.db")
    file.rename(elsewhere)
    try:
        yield
    finally:
        assert not file.exists()
        elsewhere.rename(file)


TROUBLES = {
    locked: ("database is locked", "end the program that has locked it"),
    full: ("disk", "free some space on its disk"),
    moved_away: ("is not there any more", "move the file back to where it was"),
}


@contextmanager
def for_a_moment(trouble: Callable[[Path], object], file: Path) -> Iterator[None]:
    """A trouble that somebody else ends."""
    began, enough = threading.Event(), threading.Event()

    def last() -> None:
        with trouble(file):
            began.set()
            enough.wait(SOON)

    thread = threading.Thread(target=last)
    thread.start()
    began.wait()
    try:
        yield
    finally:
        thread.join()


@pytest.fixture
def store(storage: str) -> Store:
    store = opened(storage, patience=IMPATIENT)
    append(store, *range(20))
    return store


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_trouble_that_stays_ends_in_one_clear_line_and_costs_nothing(
    store, storage, file, trouble, caplog
):
    reason, advice = TROUBLES[trouble]
    with trouble(file), pytest.raises(StorageError) as caught:
        # A full disk still has room within the pages that are there.
        append(store, *range(20, 60))
    message = str(caught.value)
    assert message.startswith("the study database failed: ")
    assert "\n" not in message
    assert reason in message
    assert re.search(r"\(tried for \d+ s\); finished trials are kept", message)
    assert message.endswith(f"{advice}, then run the same command again")
    assert "trying again" in caplog.text
    there = networks(storage)
    assert there[:20] == list(range(20))
    # The store itself is not hurt: it goes on where it was.
    assert append(store, 99) == [len(there)]
    assert networks(storage) == [*there, 99]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_trouble_that_passes_costs_its_time_only(storage, file, trouble):
    store = opened(storage, patience=PATIENT)
    append(store, 0)
    with for_a_moment(trouble, file):
        append(store, *range(1, 40))
    assert networks(storage) == list(range(40))


def test_reading_waits_as_well(store, storage, file):
    patient = open_study(storage, "demo", PATIENT)
    with for_a_moment(locked, file):
        assert len(patient.frozen_trials()) == 20
    with for_a_moment(moved_away, file):
        assert patient.new_trials() == []


def test_each_wait_is_longer_up_to_a_limit():
    waits = Patience(first=0.5, longest=3).waits()
    assert [next(waits) for _ in range(5)] == [0.5, 1, 2, 3, 3]


def test_ctrl_c_ends_the_waiting(store, storage, file):
    """The lock would be waited for a minute."""
    started = time.monotonic()
    timer = threading.Timer(SOON, signal.raise_signal, [signal.SIGINT])
    patient = open_study(storage, "demo", Patience())
    with locked(file):
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            append(patient, 20)
    timer.join()
    assert time.monotonic() - started < 30
    assert append(store, 20) == [20]


def test_a_mistake_is_not_tried_again():
    tried = []
    engine = create_engine("sqlite://")

    def twice() -> None:
        tried.append(True)
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE once (number INTEGER UNIQUE)")
            connection.exec_driver_sql("INSERT INTO once VALUES (1), (1)")

    with pytest.raises(StorageError, match=r"UNIQUE constraint failed.*see the message of"):
        persist(twice, PATIENT, engine, "sqlite://")
    assert len(tried) == 1


def test_a_server_that_crashes_and_comes_back(postgres):
    name = uuid.uuid4().hex
    store = opened(postgres.url, name, patience=PATIENT)
    append(store, 0)
    postgres.stop()
    back = threading.Timer(SOON, postgres.start)
    back.start()
    assert append(store, 1) == [1]
    back.join()
    postgres.stop()
    postgres.start()
    assert append(store, 2) == [2]
    assert networks(postgres.url, name) == [0, 1, 2]


@pytest.mark.parametrize("opening", [open_study, opened])
def test_a_study_is_opened_while_its_server_restarts(postgres, opening, caplog):
    name = uuid.uuid4().hex
    append(opened(postgres.url, name), 0)
    postgres.stop()
    back = threading.Timer(SOON, postgres.start)
    back.start()
    assert len(opening(postgres.url, name, patience=PATIENT).trials()) == 1
    back.join()
    (line,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert line.startswith("the study database failed: ")
    assert line.endswith("; trying again for 30 s")


def test_a_wrong_url_is_not_waited_for(postgres, caplog):
    folder = str(postgres.folder)
    for right, wrong in (("/postgres?", "/none?"), ("tests@", "nobody@"), (folder, "no.invalid")):
        with pytest.raises(StorageError, match=r"(none|nobody|not known)[^;]*; finished trials"):
            open_study(postgres.url.replace(right, wrong), "demo", PATIENT)
    assert "trying again" not in caplog.text


def test_a_server_that_stays_away(postgres):
    name = uuid.uuid4().hex
    store = opened(postgres.url, name, patience=IMPATIENT)
    append(store, 0)
    postgres.stop()
    try:
        with pytest.raises(StorageError, match=r"check that the database server .* again$"):
            append(store, 1)
        with pytest.raises(StorageError, match=r"check that the database server .* again$"):
            open_study(postgres.url, name, IMPATIENT)
    finally:
        postgres.start()
    assert append(store, 1) == [1]


def test_a_commit_whose_answer_is_lost_is_not_stored_twice(postgres):
    name = uuid.uuid4().hex
    with tempfile.TemporaryDirectory() as folder, cut_line(Path(folder), postgres.folder) as line:
        store = opened(postgres.url.replace(str(postgres.folder), folder), name, patience=PATIENT)
        append(store, 0)
        line.cut.set()
        assert append(store, 1, 2) == [1, 2]
        assert line.was_cut.is_set()
        assert store.new_trials() == []
        store.close()
    assert networks(postgres.url, name) == [0, 1, 2]


def test_a_database_without_a_driver_says_what_to_install():
    with pytest.raises(
        InputError,
        match=r"driver for .postgresql\+pg8000. is not installed; for postgresql\+psycopg: pip",
    ):
        open_study("postgresql+pg8000://nobody@localhost/none", "demo")

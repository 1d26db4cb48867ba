"""Several real processes on one study, and processes that are killed."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from gnv2_nas.search.storage.studies import open_study
from tests.search.study_helpers import append, networks, opened

WRITERS = 3
EACH = 20
"""Networks each writer offers; every other one is another's, too."""
KILLS = 6
PATIENCE = 60
"""Seconds; only a broken store takes so long."""

# Processes are forked off one that has loaded everything and has no threads yet.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.search.study_helpers"])


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def started() -> Iterator[list[multiprocessing.process.BaseProcess]]:
    """Processes that a test begins end with it."""
    processes: list[multiprocessing.process.BaseProcess] = []
    yield processes
    for process in processes:
        process.kill()
        process.join()


def write(storage: str, name: str, numbers: list[int], answers: Connection) -> None:
    """Append networks one by one; answer each with the number of its trial, then the news."""
    store = opened(storage, name)
    store.frozen_trials()
    for number in numbers:
        answers.send((number, append(store, number)[0]))
    answers.send([trial.number for trial in store.new_trials()])


def start(started, storage, name, numbers) -> Connection:
    ours, theirs = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=write, args=(storage, name, numbers, theirs))
    started.append(process)
    process.start()
    theirs.close()
    return ours


def answers(connection: Connection) -> Iterator[object]:
    """Until the process ends, of its own accord or not."""
    while connection.poll(PATIENCE):
        try:
            yield connection.recv()
        except EOFError:
            return
    raise TimeoutError("no answer from a process")


def test_writers_that_begin_a_study_together_share_it(storage, name, started):
    """Without an empty database beforehand: its tables are made by whoever comes first."""
    offered = [[*range(writer, writer + 2 * EACH, 2)] for writer in range(WRITERS)]
    connections = [start(started, storage, name, numbers) for numbers in offered]
    told: dict[int, set[int]] = {}
    stored = 0
    for connection in connections:
        *pairs, news = answers(connection)
        for network, trial in pairs:
            told.setdefault(network, set()).add(trial)
        stored += EACH
        assert len(news) == len(set(news))
    # Each network once, however many offered it, and everybody was told the same number.
    everything = sorted({network for numbers in offered for network in numbers})
    there = {
        each.architecture.num_classes - 1: {each.number}
        for each in open_study(storage, name).trials()
    }
    assert sorted(networks(storage, name)) == everything
    assert sorted(there) == everything
    assert len(everything) < stored
    assert told == there


def test_killed_at_random_instants_nothing_stored_is_lost_or_stored_twice(
    tmp_path: Path, name, started
):
    storage = f"sqlite:///{tmp_path}/studies.db"
    rng = random.Random(0)
    acknowledged: list[int] = []
    next_network = 0
    for _ in range(KILLS):
        connection = start(started, storage, name, [*range(next_network, next_network + 1000)])
        wanted, lifetime = rng.randrange(1, 8), rng.random() * 0.02
        for network, _trial in answers(connection):
            acknowledged.append(network)
            wanted -= 1
            if wanted == 0:
                # Somewhere within the transaction after the last one that was seen.
                connection.poll(lifetime)
                started[-1].kill()
        next_network = check_whole(storage, name, acknowledged)
    store = opened(storage, name)
    assert append(store, next_network) == [next_network]
    check_whole(storage, name, acknowledged)


def check_whole(storage: str, name: str, acknowledged: list[int]) -> int:
    """The number of trials, all of which must be there and readable."""
    with closing(sqlite3.connect(storage.removeprefix("sqlite:///"))) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    there = networks(storage, name)
    assert there == list(range(len(there)))
    assert set(acknowledged) <= set(there)
    candidates = open_study(storage, name).trials()
    assert [each.number for each in candidates] == there
    return len(there)

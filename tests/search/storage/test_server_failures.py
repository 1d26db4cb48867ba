"""Searches on a PostgreSQL server that restarts, cuts connections or refuses to write for a while.

Whatever a server does for less than a minute costs a search time and nothing else.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gnv2_nas.errors import StorageError
from tests.search.search_helpers import session
from tests.search.storage.postgres import PostgresServer
from tests.search.study_helpers import IMPATIENT, append, as_optuna, networks, opened

MOMENT = 0.1
"""Seconds for which the server is well or unwell."""
TIMES = 3

Trouble = Callable[[PostgresServer], None]


def restart(server: PostgresServer) -> None:
    server.stop()
    server.start()


def cut_connections(server: PostgresServer) -> None:
    """As an administrator or a load balancer does."""
    server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    )


@contextmanager
def refusing_writes(server: PostgresServer) -> Iterator[None]:
    """As a standby does until it takes over."""
    for value in ("on", "off"):
        server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        server.execute("SELECT pg_reload_conf()")
        if value == "on":
            yield


def fail_over(server: PostgresServer) -> None:
    with refusing_writes(server):
        cut_connections(server)
        threading.Event().wait(MOMENT)


@contextmanager
def meanwhile(trouble: Trouble, server: PostgresServer) -> Iterator[None]:
    """Cause a trouble a few times while the block runs."""

    def cause() -> None:
        for _ in range(TIMES):
            trouble(server)
            threading.Event().wait(MOMENT)

    thread = threading.Thread(target=cause)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.mark.parametrize("trouble", [restart, cut_connections, fail_over])
def test_a_search_loses_only_time(postgres, folder, trouble):
    name = uuid.uuid4().hex
    search = session(folder, storage=postgres.url, study=name, trials=16)
    with meanwhile(trouble, postgres):
        assert search.loop().run() == "all trials are done"
    record = search.store.record()
    assert sum(not each.baseline for each in record.trials) == 16
    stored = [each.user_attrs["architecture"] for each in as_optuna(postgres.url, name).trials]
    assert len(set(stored)) == len(stored) == len(record.trials)


def test_a_server_that_goes_on_refusing_writes_ends_the_search_in_one_line(postgres):
    name = uuid.uuid4().hex
    store = opened(postgres.url, name, patience=IMPATIENT)
    append(store, 0)
    with (
        refusing_writes(postgres),
        pytest.raises(StorageError, match=r"read-only transaction .*the primary one.* again$"),
    ):
        append(store, 1)
    assert append(store, 1) == [1]
    assert networks(postgres.url, name) == [0, 1]

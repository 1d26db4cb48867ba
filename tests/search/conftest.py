from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gnv2_nas.space import SearchSpace
from tests.search.spaces import SIX, SMALL, space_of
from tests.search.storage.postgres import PostgresServer, running_server


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SearchSpace:
    return space_of(tmp_path_factory.mktemp("space"), SMALL)


@pytest.fixture(scope="session")
def six(tmp_path_factory: pytest.TempPathFactory) -> SearchSpace:
    return space_of(tmp_path_factory.mktemp("space"), SIX, "six")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server, for as long as the tests run."""
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of every kind that can be had."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/studies.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.url

from __future__ import annotations

from pathlib import Path

import pytest

from gnv2_nas.space import SearchSpace
from tests.search.spaces import SIX, SMALL, space_of


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

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from gnv2_nas.space import SearchSpace, load_space


@pytest.fixture
def space_of(tmp_path: Path) -> Callable[[str], SearchSpace]:
    """Loads a space from the text of its file."""

    def load(text: str) -> SearchSpace:
        path = tmp_path / "mine.yaml"
        path.write_text(textwrap.dedent(text))
        return load_space(path)

    return load

"""A space whose networks are scored in no time."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from gnv2_nas.space import SearchSpace, load_space
from tests.search.spaces import SMALL, write_space


@cache
def small_space() -> SearchSpace:
    """288 genotypes at 32 pixels; one object, because AZ-NAS remembers a space's population."""
    with tempfile.TemporaryDirectory() as folder:
        return load_space(str(write_space(Path(folder), SMALL)))

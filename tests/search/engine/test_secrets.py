"""Ray keeps, logs and shows what it gets to know; a password must not be among it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

WORD = "hunter2-of-the-tests"


@pytest.mark.usefixtures("ray_package")
def test_ray_does_not_get_to_know_the_password_of_the_database():
    command = [sys.executable, "-m", "tests.search.engine.looking"]
    storage = ["--storage", f"postgresql://me:{WORD}@host/studies"]
    run = subprocess.run(
        [*command, *storage], cwd=Path(__file__).parents[3], check=True, text=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    told = json.loads(run.stdout)
    for what, texts in told.items():
        assert texts, what
        assert not any(WORD in text for text in texts), what
    assert "me:***@host" in told["jobs"][0]

"""The installed `gnv2-nas`, run as a user runs it, or its `main` in this process."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from gnv2_nas.cli import console, main
from tests import confined

COMMAND = str(Path(sys.executable).parent / "gnv2-nas")
_IMPORTED = "import time:"
# What makes a terminal of a pipe, or colours where there are none.
_ENVIRONMENT = {
    key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "GITHUB_ACTIONS")
} | {"NO_COLOR": "1", "TERM": "dumb", "PYTHONPROFILEIMPORTTIME": "1"}


class Answer(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str
    imported: frozenset[str]
    """Top-level packages that it loaded."""


def gnv2_nas(
    *arguments: object, cwd: Path, ordinary: bool = False, largest_file: int | None = None
) -> Answer:
    """Run the command line.

    Args:
        ordinary: without root's rights over files.
        largest_file: bytes after which no file grows; as an ordinary user then.
    """
    program = [COMMAND, *map(str, arguments)]
    if ordinary or largest_file is not None:
        program = confined.confined(program, largest_file)
    done = subprocess.run(
        program, cwd=cwd, env=_ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False
    )
    lines = done.stderr.splitlines(keepends=True)
    imports = [line.rpartition("|")[2].strip() for line in lines if line.startswith(_IMPORTED)]
    return Answer(
        done.returncode,
        done.stdout,
        "".join(line for line in lines if not line.startswith(_IMPORTED)),
        frozenset(name.partition(".")[0] for name in imports),
    )


Invoke = Callable[[str, Path], Answer]
"""Runs a command line in a working directory."""


def make_invoke(patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> Invoke:
    """Return a function that calls `main` in this process."""
    # `main` replaces all of these for the rest of the process.
    for stream in ("stdout", "stderr"):
        patch.setattr(sys, stream, getattr(sys, stream))
    patch.setattr(warnings, "showwarning", warnings.showwarning)
    patch.setattr("gnv2_nas.cli.take_over_messages", lambda: None)
    patch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    # With a setting of its own, the process is not restarted with huge pages.
    patch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=0")

    def invoke(line: str, cwd: Path) -> Answer:
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["gnv2-nas", *shlex.split(line)])
        console.stderr.cache_clear()
        capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        console.stderr.cache_clear()
        out, err = capture.readouterr()
        return Answer(int(ended.value.code or 0), out, err, frozenset())

    return invoke

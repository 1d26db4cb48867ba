"""`gnv2-nas` in a new process, in a fork that need not import anything, or in this process."""

from __future__ import annotations

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
from tests.forks import ENVIRONMENT, forks

COMMAND = str(Path(sys.executable).parent / "gnv2-nas")
_IMPORTED = "import time:"


class Answer(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str
    imported: frozenset[str]
    """Top-level packages that it loaded, where it ran in a new process."""


def gnv2_nas(*arguments: object, cwd: Path) -> Answer:
    """Run the command line in a process that has imported everything already."""
    return Answer(*forks().run(*arguments, cwd=cwd), frozenset())


def run_installed(
    *arguments: object, cwd: Path, ordinary: bool = False, largest_file: int | None = None
) -> Answer:
    """Run the installed command, which says what it imports.

    Args:
        ordinary: without root's rights over files.
        largest_file: bytes after which no file grows; as an ordinary user then.
    """
    program = [COMMAND, *map(str, arguments)]
    if ordinary or largest_file is not None:
        program = confined.confined(program, largest_file)
    done = subprocess.run(
        program, cwd=cwd, env=ENVIRONMENT | {"PYTHONPROFILEIMPORTTIME": "1"}, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
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

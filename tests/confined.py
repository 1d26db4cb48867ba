"""Programs run under limits that a user can meet: a disk that fills up, rights that end.

Real limits of the kernel, in a process of its own, for an ordinary user and for root alike.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# Root may write to any file by two capabilities. A program started without them in the bounding
# set is refused as any owner is.
_LAUNCH = """
import ctypes, os, resource, sys
largest_file, *program = sys.argv[1:]
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
if os.geteuid() == 0:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            sys.exit("cannot give up root's rights over files")
if largest_file:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest_file),) * 2)
os.execv(program[0], program)
"""


def confined(program: list[str], largest_file: int | None = None) -> list[str]:
    """The command that runs `program` without root's rights over files.

    Args:
        largest_file: bytes after which no file grows, as on a full disk; Python ignores the
            signal that comes with it, so writing fails with an `OSError`.
    """
    limit = "" if largest_file is None else str(largest_file)
    return [sys.executable, "-I", "-c", _LAUNCH, limit, *program]


def run(
    program: list[str], cwd: Path, largest_file: int | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end under the limits of `confined`."""
    return subprocess.run(
        confined(program, largest_file), cwd=cwd, env=os.environ | environment,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def run_python(
    code: str, *arguments: Any, cwd: Path, largest_file: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python code under the limits of `confined`; `arguments` are its `sys.argv[1:]`."""
    program = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return run(program, cwd, largest_file)

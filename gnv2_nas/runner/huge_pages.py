"""Huge pages for weights, so that their place in memory does not affect latency.

With pages of 4 KiB, some sessions of a network are permanently 2 % faster than others, depending on
which pages the kernel had free. Pages of 2 MiB remove the difference (`python -m benchmarks
sessions`). glibc uses them if the environment says so when the process starts.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "GLIBC_TUNABLES"
_TUNABLE = "glibc.malloc.hugetlb"
KERNEL_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_SINCE = (2, 35)
"""First version of glibc with the tunable."""


def in_use() -> bool:
    """Return whether this process was started with huge pages."""
    return f"{_TUNABLE}=1" in os.environ.get(VARIABLE, "") and _on_request()


def environment() -> Mapping[str, str]:
    """Return the environment that starts a process with huge pages.

    It is `os.environ` itself if they are not available or `GLIBC_TUNABLES` already sets them.
    """
    told = os.environ.get(VARIABLE, "")
    if _TUNABLE in told or not _on_request() or not _known_to_libc():
        return os.environ
    return os.environ | {VARIABLE: ":".join(filter(None, (told, f"{_TUNABLE}=1")))}


def plain_environment() -> Mapping[str, str]:
    """Return the environment that starts a process whose C library asks for no huge pages."""
    told = os.environ.get(VARIABLE, "").split(":")
    kept = [each for each in told if not each.startswith(_TUNABLE)]
    return os.environ | {VARIABLE: ":".join(kept)}


def restart() -> None:
    """Restart this process with huge pages, unless it has them or they are not available.

    A process that cannot be restarted goes on without them, such as one under an emulator.
    """
    wanted = environment()
    if wanted is not os.environ:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stdout.flush()  # None or broken where nobody reads it
        # `orig_argv`, with the interpreter's own options, exists since Python 3.10.
        arguments = sys.orig_argv[1:] if hasattr(sys, "orig_argv") else sys.argv
        with contextlib.suppress(OSError):
            os.execve(sys.executable, [sys.executable, *arguments], dict(wanted))  # noqa: S606


def _on_request() -> bool:
    """Return whether the kernel gives huge pages on request only."""
    try:
        return "[madvise]" in KERNEL_SETTING.read_text()
    except OSError:  # not there, or not readable, as on Android
        return False


def _known_to_libc() -> bool:
    name, version = platform.libc_ver()
    return name == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= _SINCE

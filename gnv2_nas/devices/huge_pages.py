"""Weights in huge pages, so that it makes no difference where in memory they come to lie.

With pages of 4 KiB, some sessions of one network are 2 % faster than others for as long as they
live, by the luck of which pages the kernel had left. With 2 MiB pages that is gone
(`python -m benchmarks sessions`). glibc takes them where the environment says so at the start.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

_VARIABLE = "GLIBC_TUNABLES"
_TUNABLE = "glibc.malloc.hugetlb"
_KERNEL = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_SINCE = (2, 35)
"""The first glibc that knows the tunable."""


def in_use() -> bool:
    """Whether this process was started with huge pages for what it allocates."""
    return f"{_TUNABLE}=1" in os.environ.get(_VARIABLE, "") and _on_request()


def environment() -> Mapping[str, str]:
    """The environment that starts a process with them: this one, where they cannot be had or
    `GLIBC_TUNABLES` has its own word about them."""
    told = os.environ.get(_VARIABLE, "")
    if _TUNABLE in told or not _on_request() or not _known_to_libc():
        return os.environ
    return os.environ | {_VARIABLE: ":".join(filter(None, (told, f"{_TUNABLE}=1")))}


def restart() -> None:
    """Start this process anew with huge pages, unless it has them or cannot."""
    wanted = environment()
    if wanted is not os.environ:
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stdout.flush()  # None or broken where nobody reads it
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], dict(wanted))  # noqa: S606


def _on_request() -> bool:
    """Whether the kernel gives them to those that ask, and only to those."""
    return _KERNEL.exists() and "[madvise]" in _KERNEL.read_text()


def _known_to_libc() -> bool:
    name, version = platform.libc_ver()
    return name == "glibc" and tuple(int(part) for part in version.split(".")[:2]) >= _SINCE

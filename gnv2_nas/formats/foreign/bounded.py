"""Reading the bytes of a user's file within limits."""

from __future__ import annotations

import stat
from pathlib import Path

from gnv2_nas.errors import InputError
from gnv2_nas.runner.machine import memory_bytes

MAX_BYTES = (1 << 31) - 1
"""The largest file of either format."""
_COPIES = 4
"""About so many copies are in memory while a file is read and loaded."""


def read_file(path: Path, name: str) -> bytes:
    """Return the bytes of an ordinary file that fits the memory.

    Raises:
        InputError: it cannot be read.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no ordinary file"
            raise InputError(f"{name!r} is {kind}; name a file")
        check_size(status.st_size, name)
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {name!r}: {what}") from None
    if not content:
        raise InputError(f"{name!r} is empty")
    return content


def check_size(size: int, name: str) -> None:
    """Check that so many bytes can be loaded.

    Raises:
        InputError: a file of either format cannot hold them, or they do not fit the memory.
    """
    if size > MAX_BYTES:
        raise InputError(f"{name!r} has {size / 1e9:.1f} GB; a file can have up to 2.1 GB")
    memory = memory_bytes()
    if 0 < memory < size * _COPIES:
        raise InputError(
            f"{name!r} has {size / 1e9:.1f} GB, too much for the {memory / 1e9:.1f} GB of memory "
            f"here: loading needs about {_COPIES} times as much"
        )

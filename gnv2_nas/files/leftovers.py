"""Temporary files and folders, and the removal of those that killed processes left behind.

A process holds a lock (flock) on its temporary file or folder until it renames or removes it. The
system releases the lock when the process ends in any way. So a temporary file that can be locked
is a leftover.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import time
from pathlib import Path

_NAME = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-[0-9a-f]{8}\.gnv2-nas", re.DOTALL)
_MAX_NAME_BYTES = 200
"""Bytes of the original name in a temporary name; file systems allow 255 in all."""
_FOREIGN_DAYS = 7.0
"""Age at which another machine's files are removed, because locks may not work across machines."""

NEW, OLD, CURRENT, KEPT = "new", "old", "current", "kept"
"""Names in the temporary folder of a set of files, see `file_sets`."""


def create_aside(path: Path, *, folder: bool = False) -> tuple[Path, int]:
    """Create a temporary file or folder beside `path`.

    Returns:
        Its path, and an open descriptor that holds its lock.

    Raises:
        OSError: it cannot be created.
    """
    flags = os.O_CLOEXEC | (os.O_RDONLY if folder else os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    while True:
        aside = _aside_path(path)
        if folder:
            aside.mkdir()
        descriptor = os.open(aside, flags, 0o666)
        if _held(descriptor):
            return aside, descriptor
        # Another process removed it as a leftover before it was locked.
        os.close(descriptor)


def _aside_path(path: Path) -> Path:
    kept = path.name
    while len(os.fsencode(kept)) > _MAX_NAME_BYTES:
        kept = kept[:-1]
    return path.with_name(f".{kept}.{_host()}-{secrets.token_hex(4)}.gnv2-nas")


def _held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # Without locks, nothing is ever removed as a leftover.
    return os.fstat(descriptor).st_nlink > 0


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left in `folder`, and complete their sets. Never raises."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return
    for name in names:
        if match := _NAME.fullmatch(name):
            with contextlib.suppress(OSError):
                _remove(folder / name, own=match["host"] == _host())


def settle(aside: Path) -> None:
    """Complete the set of files in folder `aside`: replace its links by the files that they lead
    to, which are all old or all new."""
    for name in _names(aside / KEPT):
        (aside / KEPT / name).replace(aside.parent / name)
    for name in _names(aside / NEW) | _names(aside / OLD):
        place = aside.parent / name
        if place.is_symlink() and str(place.readlink()) == link_target(aside, name):
            try:
                (aside / CURRENT / name).replace(place)
            except FileNotFoundError:  # there was no old file
                place.unlink()


def link_target(aside: Path, name: str) -> str:
    """Target of the link that stands for a file of a set during the switch."""
    return f"{aside.name}/{CURRENT}/{name}"


def _names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()


def _remove(path: Path, *, own: bool) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        old = time.time() - status.st_mtime > _FOREIGN_DAYS * 86400
        if own or old:
            # Raises an error if a process holds the lock or the file system has no locks.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if stat.S_ISDIR(status.st_mode):
                settle(path)
                shutil.rmtree(path)
            elif stat.S_ISREG(status.st_mode):
                path.unlink()
    finally:
        os.close(descriptor)


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode(errors="replace")).hexdigest()[:8]

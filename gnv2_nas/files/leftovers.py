"""Files and folders written aside: their names, and the end of those that killed processes left.

Whoever writes aside holds a lock (flock) on the file or folder until it has taken its place or is
removed. The system gives the lock back when a process ends, however it ends. So what has a name of
this form and can be locked belongs to nobody any more, whatever has become of its process number.
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
_LONGEST_NAME = 200
"""Bytes of the name that are kept for a reader; file systems take 255 in all."""
_FOREIGN_DAYS = 7.0
"""Locks may not reach another machine: what it wrote is removed after that time only."""

NEW, OLD, CURRENT, KEPT = "new", "old", "current", "kept"
"""In the folder of a set of files, see `file_sets`."""


def create_aside(path: Path, *, folder: bool = False) -> tuple[Path, int]:
    """An empty file (or folder) beside `path`, open and held until it is closed.

    Raises:
        OSError: the disk refused.
    """
    flags = os.O_CLOEXEC | (os.O_RDONLY if folder else os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    while True:
        aside = _aside_path(path)
        if folder:
            aside.mkdir()
        descriptor = os.open(aside, flags, 0o666)
        if _held(descriptor):
            return aside, descriptor
        # Another process took it for left behind, in the instant before it was held.
        os.close(descriptor)


def _aside_path(path: Path) -> Path:
    kept = path.name
    while len(os.fsencode(kept)) > _LONGEST_NAME:
        kept = kept[:-1]
    return path.with_name(f".{kept}.{_host()}-{secrets.token_hex(4)}.gnv2-nas")


def _held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # A file system without locks: nothing on it is ever taken for left behind.
    return os.fstat(descriptor).st_nlink > 0


def remove_leftovers(folder: Path) -> None:
    """Bring to an end what killed processes have left in `folder`; never raises."""
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
    """Give each file of a set, whose folder is `aside`, its place as a file of its own: all the
    old ones, or all the new ones where the set was switched."""
    for name in _names(aside / KEPT):
        (aside / KEPT / name).replace(aside.parent / name)
    for name in _names(aside / NEW) | _names(aside / OLD):
        place = aside.parent / name
        if place.is_symlink() and str(place.readlink()) == link_target(aside, name):
            try:
                (aside / CURRENT / name).replace(place)
            except FileNotFoundError:  # there was no old one
                place.unlink()


def link_target(aside: Path, name: str) -> str:
    """What a file of a set is a link to while the set is being switched."""
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
            # Raises where somebody has it, or where there are no locks.
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

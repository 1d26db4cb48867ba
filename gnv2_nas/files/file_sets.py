"""Replaces several files that belong together at one instant.

No system renames two files at once. So for a moment each file of the set is a symbolic link through
one common link:

    model.xml, model.bin  →  .model.xml.….gnv2-nas/current/…
    current               →  old, and then new

Renaming `current` switches all files from old to new. Then each link is replaced by its file. If
the process is killed at any point, the visible files belong together, and `leftovers.settle`
completes the rest later.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from gnv2_nas.files.leftovers import (
    CURRENT,
    KEPT,
    NEW,
    OLD,
    create_aside,
    link_target,
    remove_leftovers,
    settle,
)
from gnv2_nas.files.writing import flush, write_atomically, write_error

_LINKS = "links"


def write_set(contents: Mapping[Path, bytes | str]) -> None:
    """Write files of one folder, all of them or none. A reader never sees old and new together.

    Args:
        contents: path → content. The file that refers to the others comes first.

    Raises:
        StorageError: a file cannot be written; older files stay unchanged.
    """
    if len(contents) == 1:
        return write_atomically(*next(iter(contents.items())))
    first = next(iter(contents))
    if any(path.parent != first.parent for path in contents):
        raise ValueError("files of a set lie in one folder")
    try:
        first.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(first.parent)
        aside, descriptor = create_aside(first, folder=True)
    except OSError as error:
        raise write_error(first, error) from None
    with ExitStack() as stack:
        stack.callback(os.close, descriptor)
        stack.callback(_finish, aside)
        path = first
        try:
            for name in (NEW, OLD, _LINKS):
                (aside / name).mkdir()
            for path, content in contents.items():
                if path.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                _write(aside / NEW / path.name, content)
            _place(aside, [path.name for path in contents])
        except OSError as error:
            if not _is_switched(aside):
                raise write_error(path, error) from None


def _write(path: Path, content: bytes | str) -> None:
    with path.open("xb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        flush(file)


def _place(aside: Path, names: list[str]) -> None:
    folder = aside.parent
    try:
        _link_old(aside, names)
    except OSError:
        # Some file systems have no links, for instance those of memory cards.
        return _place_one_by_one(aside, names)
    for name in names:
        (aside / _LINKS / name).replace(folder / name)
    (aside / _LINKS / CURRENT).replace(aside / CURRENT)
    _flush_folder(folder)
    return None


def _link_old(aside: Path, names: list[str]) -> None:
    """Create all links without changing what a reader sees."""
    for name in names:
        old = aside.parent / name
        if old.exists():
            os.link(old.resolve(), aside / OLD / name)
        (aside / _LINKS / name).symlink_to(link_target(aside, name))
    (aside / CURRENT).symlink_to(OLD)
    (aside / _LINKS / CURRENT).symlink_to(NEW)
    _flush_folder(aside)


def _place_one_by_one(aside: Path, names: list[str]) -> None:
    """Move the old files away first. If the process is killed, a file is missing, which is safer
    than a wrong combination; `settle` restores the old files."""
    (aside / CURRENT).unlink(missing_ok=True)
    (aside / KEPT).mkdir()
    for name in names:
        with suppress(FileNotFoundError):
            (aside.parent / name).replace(aside / KEPT / name)
    for name in reversed(names):
        (aside / NEW / name).replace(aside.parent / name)
    (aside / KEPT).replace(aside / CURRENT)


def _is_switched(aside: Path) -> bool:
    """Whether a reader sees the new files."""
    current = aside / CURRENT
    if current.is_symlink():
        return str(current.readlink()) == NEW
    return current.is_dir()


def _finish(aside: Path) -> None:
    with suppress(OSError):  # the next command tries again
        settle(aside)
        shutil.rmtree(aside)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

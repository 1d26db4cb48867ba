"""Finds image files by their names, without opening them.

Paths are plain strings for speed, because a data set may have a million files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from gnv2_nas.data.folders.file_kinds import NO_FILE, NO_SUFFIX, SUFFIXES
from gnv2_nas.errors import DataError

_NOT_DATA = {
    "__MACOSX", "@eaDir", "desktop.ini", "ehthumbs.db", "Icon\r", "lost+found",
    "System Volume Information", "Thumbs.db", "thumbs.db",
}  # fmt: skip
"""Files that archives, file managers and disks leave behind."""


def list_folders(folder: Path) -> list[Path]:
    """List the visible folders in a folder, sorted by name.

    Raises:
        DataError: the folder cannot be read.
    """
    return sorted(Path(entry.path) for entry in _visible(str(folder)) if _is_folder(entry))


def find_images(folder: Path, ignored: Counter[str]) -> list[str]:
    """Find all image files below a folder, sorted; links are followed, each folder once.

    Args:
        ignored: counter that receives the other files by suffix, `NO_SUFFIX` or `NO_FILE`.

    Raises:
        DataError: a folder cannot be read.
    """
    found: list[str] = []
    for entry in _files_below(str(folder)):
        suffix = _suffix(entry)
        if suffix in SUFFIXES:
            found.append(entry.path)
        else:
            ignored[suffix] += 1
    return sorted(found)


def contains_images(folder: Path) -> bool:
    """Whether a folder contains an image at any depth.

    Raises:
        DataError: a folder cannot be read.
    """
    return any(_suffix(entry) in SUFFIXES for entry in _files_below(str(folder)))


def count_images(folder: Path) -> int:
    """Count the images in a folder itself.

    Raises:
        DataError: the folder cannot be read.
    """
    return sum(
        not _is_folder(entry) and _suffix(entry) in SUFFIXES for entry in _visible(str(folder))
    )


def _files_below(folder: str) -> Iterator[os.DirEntry[str]]:
    entered: set[tuple[int, int]] = set()
    pending = [folder]
    while pending:
        current = pending.pop()
        if not _enter(current, entered):
            continue
        for entry in _visible(current):
            if _is_folder(entry):
                pending.append(entry.path)
            else:
                yield entry


def _suffix(entry: os.DirEntry[str]) -> str:
    """Suffix in lower case with its dot, or `NO_SUFFIX` or `NO_FILE`."""
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122
    if suffix in SUFFIXES and not _is_regular(entry):
        return NO_FILE
    return suffix or NO_SUFFIX


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder; False for a link to itself."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_regular(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file; reading a pipe or socket would block forever."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _enter(folder: str, entered: set[tuple[int, int]]) -> bool:
    """Enter a folder; False if a link leads to one that was entered before."""
    status = Path(folder).stat()
    identity = (status.st_dev, status.st_ino)
    if identity in entered:
        return False
    entered.add(identity)
    return True


def _visible(folder: str) -> list[os.DirEntry[str]]:
    """Visible entries, sorted, so that the same one of two links is always followed."""
    try:
        with os.scandir(folder) as entries:
            shown = [
                entry for entry in entries if entry.name[:1] != "." and entry.name not in _NOT_DATA
            ]
    except OSError as error:
        raise DataError(f"{folder!r} cannot be read: {error.strerror or error}") from None
    return sorted(shown, key=lambda entry: entry.name)

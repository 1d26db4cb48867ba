"""Decoded images on disk: read in no time, shared by all processes of a machine.

Two files under `$XDG_CACHE_HOME/gnv2-nas/data` (`~/.cache` where that is not set), named by a hash
of where the images are, their names, sizes and times: when a file changes, the name does. They are
written aside and renamed. The folder may be deleted at any time. A user without a home folder has
no cache.
"""

from __future__ import annotations

import hashlib
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.lib import format as np_format
from numpy.typing import NDArray

from gnv2_nas.files.writing import replacing, write_atomically

_VERSION = 2
"""Of how images are decoded; a new one makes all that was kept before unused."""


class Findings(msgspec.Struct, frozen=True):
    """What decoding each file has shown."""

    digests: tuple[str, ...]
    """Of the picture in each file; "" for those that cannot be used."""
    file_digests: tuple[str, ...]
    """Of the bytes of each file; "" for those that cannot be used."""
    reasons: dict[int, str]
    """File number → why it cannot be used."""
    warnings: tuple[str, ...] = ()
    """What the values of all images say."""


@dataclass(frozen=True)
class ImageCache:
    """Where one set of images at one size is kept."""

    folder: Path
    key: str

    @classmethod
    def of(cls, root: Path, names: Sequence[str], side: int) -> ImageCache | None:
        """The place for these files as they are now; None where there is no folder for it."""
        folder = _cache_folder()
        if folder is None:
            return None
        digest = hashlib.sha256(f"{_VERSION} {side} ".encode())
        digest.update(os.fsencode(root.resolve()))
        for name in names:
            digest.update(b"\0" + os.fsencode(name) + b"\0" + _state(root / name))
        return cls(folder, digest.hexdigest()[:32])

    def findings(self) -> Findings | None:
        """None where nothing was kept, or it is damaged."""
        try:
            return msgspec.json.decode(self._findings_file.read_bytes(), type=Findings)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def pixels(self, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """A memory-mapped array of that shape; None where there is none, or it is damaged."""
        try:
            # Mode "c": what is written stays in memory, so torch may have the array.
            array = np.load(self._pixels_file, mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return array if array.shape == shape and array.dtype == np.uint8 else None

    def write(self, findings: Findings, pixels: NDArray[np.uint8] | None) -> None:
        """Keep both for later; the findings last, since they say that there is something.

        Raises:
            OSError, StorageError: the disk refused; nothing is left behind.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if pixels is not None:
            _save(self._pixels_file, pixels)
        write_atomically(self._findings_file, msgspec.json.encode(findings))

    @property
    def _pixels_file(self) -> Path:
        return self.folder / f"{self.key}.npy"

    @property
    def _findings_file(self) -> Path:
        return self.folder / f"{self.key}.json"


def _state(path: Path) -> bytes:
    """What changes when a file does; all zeros once it is gone."""
    try:
        status = path.stat()
    except OSError:
        return b"0 0 0"
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}".encode()


def _cache_folder() -> Path | None:
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification has relative paths ignored.
    if not base.is_absolute():
        home = _home()
        if home is None:
            return None
        base = home / ".cache"
    return base / "gnv2-nas" / "data"


def _home() -> Path | None:
    """None for a user id without an entry in the password database, as in a container."""
    home = Path(os.environ.get("HOME", ""))
    if home.is_absolute():
        return home
    # An empty or a relative one, with which `Path.home` would name "/" or a folder right here.
    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except (KeyError, OSError):
        return None
    return home if home.is_absolute() else None


def _save(path: Path, array: NDArray[np.uint8]) -> None:
    """As `write_atomically`, without a second copy of the array in memory; `array` is
    contiguous."""
    with replacing(path) as file:
        # Not by `np.save`: of a disk that is full it says nothing.
        header_data = np_format.header_data_from_array_1_0(array)
        np_format.write_array_header_1_0(file, header_data)
        file.write(array.data)

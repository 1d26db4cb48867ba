"""Decodes all images of a set in several threads, and caches the result on disk.

The cache is two files in `$XDG_CACHE_HOME/gnv2-nas/data` (default `~/.cache`), shared by all
processes of a machine. Their name is a hash of the folder and of the names, sizes and times of the
images, so a changed file makes a new name. The cache may be deleted at any time. A user without a
home folder has none. Of a large set only the list of unusable files is cached, and its images are
decoded whenever they are used.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.lib import format as np_format
from numpy.typing import NDArray

from gnv2_nas.cores import usable_cores
from gnv2_nas.data.decoding import Decoded, decode, silence_pillow
from gnv2_nas.data.value_range import ValueRange, describe_ranges
from gnv2_nas.errors import StorageError
from gnv2_nas.files.caches import cache_folder
from gnv2_nas.files.writing import replacing, write_atomically

MAX_STORED_BYTES = 2 * 2**30
"""Decoded size up to which a whole set is cached."""
_CHUNK = 256
"""Files that the threads get at a time; Ctrl-C waits for no more than these."""
_VERSION = 2
"""Version of the decoding; a new number makes older caches unused."""


class Findings(msgspec.Struct, frozen=True):
    """Results of decoding, apart from the pixels."""

    digests: tuple[str, ...]
    """Hash of the picture in each file; "" for unusable ones."""
    file_digests: tuple[str, ...]
    """Hash of the bytes of each file; "" for unusable ones."""
    reasons: dict[int, str]
    """File number → why the file is unusable."""
    warnings: tuple[str, ...] = ()
    """Warnings about the values of all images."""


@dataclass(frozen=True)
class DecodedImages:
    """All images of a set."""

    findings: Findings
    pixels: NDArray[np.uint8] | None
    """uint8, shape (N, 3, S, S), zeros for unusable images; None for a large set."""
    note: str = ""
    """Why nothing could be cached; "" if it was."""


def decode_images(
    root: Path,
    names: Sequence[str],
    side: int,
    *,
    workers: int | None = None,
    stored_bytes: int = MAX_STORED_BYTES,
    progress: Callable[[float], None] | None = None,
) -> DecodedImages:
    """Decode all files, or read the cache.

    Args:
        names: paths below `root`.
        side: S, pixels.
        workers: number of threads; None means one for each usable core.
        stored_bytes: decoded size up to which the whole set is kept.
        progress: called with the finished share of the files, 0..1.
    """
    shape = (len(names), 3, side, side)
    whole = int(np.prod(shape)) <= stored_bytes
    cache = ImageCache.of(root, names, side)
    findings = cache.findings() if cache else None
    pixels = cache.pixels(shape) if cache and findings is not None and whole else None
    note = ""
    if findings is None or (whole and pixels is None):
        pixels = np.zeros(shape, np.uint8) if whole else None
        findings = _decode_all(root, names, side, workers, pixels, progress)
        note = _write_cache(cache, findings, pixels)
    if progress:
        progress(1.0)
    return DecodedImages(findings, pixels, note)


def decode_files(
    paths: Sequence[Path], side: int, workers: int | None = None, *, identify: bool = False
) -> list[Decoded]:
    """Decode some files in several threads; Pillow releases Python's lock.

    Args:
        identify: see `decode`.
    """
    with silence_pillow(), ThreadPoolExecutor(workers or usable_cores()) as pool:
        return list(pool.map(lambda path: decode(path, side, identify=identify), paths))


def _decode_all(
    root: Path,
    names: Sequence[str],
    side: int,
    workers: int | None,
    pixels: NDArray[np.uint8] | None,
    progress: Callable[[float], None] | None,
) -> Findings:
    """Decode every file, into its row of `pixels` unless that is None."""
    identities: list[tuple[str, str]] = []
    reasons: dict[int, str] = {}
    ranges: list[ValueRange] = []
    for start in range(0, len(names), _CHUNK):
        paths = [root / name for name in names[start : start + _CHUNK]]
        for index, result in enumerate(decode_files(paths, side, workers, identify=True), start):
            identities.append((result.digest, result.file_digest))
            if result.pixels is None:
                reasons[index] = result.reason
            elif pixels is not None:
                pixels[index] = result.pixels
            if result.values is not None:
                ranges.append(result.values)
        if progress:
            progress((start + len(paths)) / len(names))
    digests, file_digests = zip(*identities, strict=True)
    return Findings(digests, file_digests, reasons, describe_ranges(ranges))


@dataclass(frozen=True)
class ImageCache:
    """Cache files of one set of images at one size."""

    folder: Path
    key: str

    @classmethod
    def of(cls, root: Path, names: Sequence[str], side: int) -> ImageCache | None:
        """Return the cache of these files as they are now; None without a cache folder."""
        folder = cache_folder("data")
        if folder is None:
            return None
        digest = hashlib.sha256(f"{_VERSION} {side} ".encode())
        digest.update(os.fsencode(root.resolve()))
        for name in names:
            digest.update(b"\0" + os.fsencode(name) + b"\0" + _file_state(root / name))
        return cls(folder, digest.hexdigest()[:32])

    def findings(self) -> Findings | None:
        """Read the findings; None if the file is missing or damaged."""
        try:
            return msgspec.json.decode(self._findings_file.read_bytes(), type=Findings)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None

    def pixels(self, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        """Map the pixels into memory; None if the file is missing, damaged or of another shape."""
        try:
            # Mode "c" makes the array writable for torch; writes stay in memory.
            array = np.load(self._pixels_file, mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return array if array.shape == shape and array.dtype == np.uint8 else None

    def write(self, findings: Findings, pixels: NDArray[np.uint8] | None) -> None:
        """Write both files; the findings come last, because they mark the cache as complete.

        Raises:
            OSError, StorageError: the disk refused; nothing is left behind.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if pixels is not None:
            with replacing(self._pixels_file) as file:
                # `np.save` does not report a full disk.
                header = np_format.header_data_from_array_1_0(pixels)
                np_format.write_array_header_1_0(file, header)
                file.write(pixels.data)
        write_atomically(self._findings_file, msgspec.json.encode(findings))

    @property
    def _pixels_file(self) -> Path:
        return self.folder / f"{self.key}.npy"

    @property
    def _findings_file(self) -> Path:
        return self.folder / f"{self.key}.json"


def _write_cache(
    cache: ImageCache | None, findings: Findings, pixels: NDArray[np.uint8] | None
) -> str:
    """Write the cache; return why that failed, or ""."""
    again = "every start will decode them again, unless XDG_CACHE_HOME names"
    if cache is None:
        return (
            "the decoded images are not cached, because this user has no home folder; "
            f"{again} a folder"
        )
    try:
        cache.write(findings, pixels)
    except (OSError, StorageError) as error:
        return (
            f"the decoded images could not be cached in {str(cache.folder)!r} ({error}); "
            f"{again} another folder"
        )
    return ""


def _file_state(path: Path) -> bytes:
    """Size and times of a file, zeros if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return b"0 0 0"
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}".encode()

"""All images of a set decoded by several threads, and remembered.

A small set is kept whole, beside a list of what could not be decoded; of a larger one only that
list is kept, and its images are decoded again whenever they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.cores import usable_cores
from gnv2_nas.data.cache import Findings, ImageCache
from gnv2_nas.data.decoding import Decoded, decode, silence_pillow
from gnv2_nas.data.value_range import ValueRange, describe_ranges
from gnv2_nas.errors import StorageError

MAX_STORED_BYTES = 2 * 2**30
"""A set of up to this size, decoded, is kept whole."""
_CHUNK = 256
"""Files that are given to the threads at a time: an interrupt waits for no more than these."""


@dataclass(frozen=True)
class DecodedImages:
    """What decoding all files has led to."""

    findings: Findings
    pixels: NDArray[np.uint8] | None
    """uint8, shape (N, 3, S, S), zeros where an image cannot be used; None for a larger set."""
    note: str = ""
    """Why nothing could be remembered; "" where it could."""


def decode_images(
    root: Path,
    names: Sequence[str],
    side: int,
    *,
    workers: int | None = None,
    stored_bytes: int = MAX_STORED_BYTES,
    progress: Callable[[float], None] | None = None,
) -> DecodedImages:
    """Decode all files, or read what was remembered of doing so.

    Args:
        names: paths below `root`.
        side: S, pixels.
        workers: threads; None means one for each core that the process may use.
        stored_bytes: size of the decoded set up to which it is kept whole.
        progress: is told the share of the files that are done, in 0..1.
    """
    shape = (len(names), 3, side, side)
    whole = int(np.prod(shape)) <= stored_bytes
    cache = ImageCache.of(root, names, side)
    findings = cache.findings() if cache else None
    pixels = cache.pixels(shape) if cache and findings is not None and whole else None
    if findings is None or (whole and pixels is None):
        pixels = np.zeros(shape, np.uint8) if whole else None
        findings = _decode_all(root, names, side, workers, pixels, progress)
        note = _remember(cache, findings, pixels)
    else:
        note = ""
    if progress:
        progress(1.0)
    return DecodedImages(findings, pixels, note)


def decode_files(
    paths: Sequence[Path], side: int, workers: int | None = None, *, identify: bool = False
) -> list[Decoded]:
    """Decode some files by several threads; Pillow computes without Python's lock.

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
    """Decode every file into its row of `pixels`, if there is such a thing."""
    identities: list[tuple[str, str]] = []
    reasons: dict[int, str] = {}
    ranges: list[ValueRange] = []
    for start, chunk in _chunks(names):
        paths = [root / name for name in chunk]
        for index, result in enumerate(decode_files(paths, side, workers, identify=True), start):
            identities.append((result.digest, result.file_digest))
            if result.pixels is None:
                reasons[index] = result.reason
            elif pixels is not None:
                pixels[index] = result.pixels
            if result.values is not None:
                ranges.append(result.values)
        if progress:
            progress((start + len(chunk)) / len(names))
    digests, file_digests = zip(*identities, strict=True)
    return Findings(digests, file_digests, reasons, describe_ranges(ranges))


def _chunks(names: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    return ((start, names[start : start + _CHUNK]) for start in range(0, len(names), _CHUNK))


def _remember(
    cache: ImageCache | None, findings: Findings, pixels: NDArray[np.uint8] | None
) -> str:
    """Keep it for the next time; why that did not work, or "" where it did."""
    if cache is None:
        return (
            "the decoded images are not kept, because this user has no home folder; every start "
            "will decode them again, unless XDG_CACHE_HOME names a folder"
        )
    try:
        cache.write(findings, pixels)
    except (OSError, StorageError) as error:
        return (
            f"the decoded images could not be kept in {str(cache.folder)!r} ({error}); "
            "every start will decode them again, unless XDG_CACHE_HOME names another folder"
        )
    return ""

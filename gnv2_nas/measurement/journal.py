"""Measurements kept with their raw samples: `profiles/<device>.jsonl`, one line each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from gnv2_nas.errors import StorageError
from gnv2_nas.files.writing import append_line
from gnv2_nas.measurement.record import Measurement

FOLDER = Path("profiles")


def append(measurements: Iterable[Measurement], folder: Path = FOLDER) -> None:
    """Add measurements to the files of their devices, each line in one write.

    Raises:
        StorageError: the disk refused; lines already there are kept.
    """
    for measurement in measurements:
        path = folder / f"{measurement.device}.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            append_line(path, msgspec.json.encode(measurement))
        except OSError as error:
            raise StorageError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def read(device: str, folder: Path = FOLDER) -> list[Measurement]:
    """All measurements of a device; a line cut short by a crash is passed over."""
    path = folder / f"{device}.jsonl"
    if not path.exists():
        return []
    measurements = []
    for line in path.read_bytes().splitlines():
        try:
            measurements.append(msgspec.json.decode(line, type=Measurement))
        except msgspec.MsgspecError:
            continue
    return measurements

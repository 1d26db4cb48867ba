"""JSON-lines files: records that are appended one by one and survive a crash."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from gnv2_nas.errors import StorageError

Record = TypeVar("Record", bound=msgspec.Struct)


class Journal(Generic[Record]):
    """A file with one JSON record a line.

    Args:
        path: the file; it and its folder are made when the first record is appended.
        record: type of the records.
    """

    def __init__(self, path: Path, record: type[Record]) -> None:
        self.path = path
        self._record = record

    def append(self, record: Record) -> None:
        """Append a record in one write.

        Raises:
            StorageError: the disk refused the write; earlier lines are intact.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _append_line(self.path, msgspec.json.encode(record))
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"cannot write {str(self.path)!r}: {reason}") from None

    def read(self) -> list[Record]:
        """Return all records in order. Lines that a crash cut short are skipped."""
        if not self.path.exists():
            return []
        records = []
        for line in self.path.read_bytes().splitlines():
            try:
                records.append(msgspec.json.decode(line, type=self._record))
            except msgspec.MsgspecError:
                continue
        return records


def _append_line(path: Path, content: bytes) -> None:
    """Append a line in one write; after a line that was cut short, start a new one."""
    with path.open("ab+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        whole = end == 0 or os.pread(file.fileno(), 1, end - 1) == b"\n"
        line = content + b"\n" if whole else b"\n" + content + b"\n"
        if file.write(line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

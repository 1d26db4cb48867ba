"""Files with one JSON record a line, which several processes append to and any of them may die.

Records are appended in one write under an exclusive `flock`, which the kernel releases when its
holder dies. A killed process, a full disk or a power cut can leave a line that is cut short at the
end. The next writer sees that under the lock and starts a new line, so the torn line harms no
other; readers skip it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
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
        """Append a record.

        Raises:
            StorageError: see `append_lines`.
        """
        append_lines(self.path, [msgspec.json.encode(record)])

    def read(self) -> list[Record]:
        """Return all records in order. Lines that a crash cut short are skipped."""
        decoder = msgspec.json.Decoder(self._record)
        records = (decode_line(line, decoder) for line in read_lines(self.path))
        return [record for record in records if record is not None]


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Append lines to a file and flush it to disk. No line of another process comes between them.

    Args:
        path: the file; it and its folder are made if they are missing.
        lines: without newlines.

    Raises:
        StorageError: the disk refused the write; earlier lines are intact.
    """
    if not lines:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as file, _locked(file.fileno()) as is_locked:
            end = file.seek(0, os.SEEK_END)
            whole = is_locked and (end == 0 or os.pread(file.fileno(), 1, end - 1) == b"\n")
            content = memoryview(b"".join([b"" if whole else b"\n", *(b"%b\n" % x for x in lines)]))
            # The disk may be full after a part of it; writing the rest then raises the reason.
            while content:
                content = content[file.write(content) :]
            os.fsync(file.fileno())
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"cannot write {str(path)!r}: {reason}") from None


def read_lines(path: Path) -> list[bytes]:
    """Return the lines of a file, without empty ones; a file that is not there has none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return [line for line in content.split(b"\n") if line]


def decode_line(line: bytes, decoder: msgspec.json.Decoder[Record]) -> Record | None:
    """Return the record of a line; None if it was cut short or is something else."""
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


@contextlib.contextmanager
def _locked(file: int) -> Iterator[bool]:
    """Hold the lock within the block; yields whether this file system has locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        # Closing alone is not enough: a forked child may still have the file open.
        fcntl.flock(file, fcntl.LOCK_UN)

"""Standard output and error that take every character, and whose loss ends no work.

A terminal may not know a character, a pipe may be closed, a disk full. None of this may cost what
an hour of searching has found. So both streams are replaced when the command line starts.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from contextlib import suppress
from typing import Any, TextIO

ERRORS = "gnv2_nas.spelled"
"""Name of the error handler that spells what an encoding does not have."""

_SPELLED = {
    "–": "-", "—": "-", "−": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "·": "-",
    "×": "x", "÷": "/", "±": "+-", "≤": "<=", "≥": ">=", "→": "->", "←": "<-", "τ": "tau",
    "µ": "u", "μ": "u", "✓": "ok", "•": "*", "│": "|", "─": "-", "━": "-", "╸": "-", "╺": "-",
}  # fmt: skip


class TolerantOutput(io.RawIOBase):
    """A file descriptor that pretends to take everything; the first error is remembered."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if self.error is not None:
            return size
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            # The other end of a pipe is slow, and somebody made it non-blocking.
            select.select([], [self._descriptor], [])
            return self.write(data)
        except OSError as error:
            self.error = error
            return size

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)


def replace_streams() -> None:
    """Make `sys.stdout` and `sys.stderr` streams that never fail."""
    _occupy_descriptors()
    sys.stdout = tolerant(sys.stdout, 1)
    sys.stderr = tolerant(sys.stderr, 2)


def tolerant(stream: TextIO | None, descriptor: int) -> io.TextIOWrapper:
    """A stream to `descriptor` with the encoding of `stream`, which is flushed.

    Args:
        stream: None where the descriptor was closed when Python started.
    """
    codecs.register_error(ERRORS, _spell)
    encoding = "utf-8"
    if stream is not None:
        encoding = stream.encoding
        with suppress(OSError, ValueError):
            stream.flush()
    raw = TolerantOutput(descriptor)
    buffered = io.BufferedWriter(raw)
    interactive = raw.isatty() or descriptor == 2
    return io.TextIOWrapper(buffered, encoding, ERRORS, line_buffering=interactive)


def output_error() -> OSError | None:
    """Flush both streams; why standard output did not take everything, None where it did.

    A reader that has read enough (`| head -1`) is no error.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.error if isinstance(raw, TolerantOutput) else None
    return None if error is None or error.errno in (errno.EPIPE, errno.EIO) else error


def _occupy_descriptors() -> None:
    """Open closed standard descriptors to nowhere: the next file that is opened would get their
    number, and what a library prints would end up in it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, which is this one. Workers inherit it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _spell(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that the encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_SPELLED.get(each, "?") for each in characters), error.end

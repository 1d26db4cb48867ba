"""Standard output and error that accept every character and never fail.

An encoding may lack a character, a pipe may be closed, a disk may be full. None of this may end a
search. So both streams are replaced when the command line starts.
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
"""Name of the error handler that replaces characters that an encoding lacks."""

_REPLACEMENTS = {
    "–": "-", "—": "-", "−": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "…": "...", "·": "-",
    "×": "x", "÷": "/", "±": "+-", "≤": "<=", "≥": ">=", "→": "->", "←": "<-", "τ": "tau",
    "µ": "u", "μ": "u", "✓": "ok", "•": "*", "│": "|", "─": "-", "━": "-", "╸": "-", "╺": "-",
}  # fmt: skip


class TolerantOutput(io.RawIOBase):
    """A file descriptor that accepts all output and remembers the first error."""

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
            # A non-blocking pipe whose reader is slow.
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
    """Replace `sys.stdout` and `sys.stderr` by streams that never fail."""
    _occupy_descriptors()
    sys.stdout = make_tolerant(sys.stdout, 1)
    sys.stderr = make_tolerant(sys.stderr, 2)


def make_tolerant(stream: TextIO | None, descriptor: int) -> io.TextIOWrapper:
    """Return a stream to `descriptor` with the encoding of `stream`.

    Args:
        stream: flushed; None if the descriptor was closed when Python started.
        descriptor: 1 or 2.
    """
    codecs.register_error(ERRORS, _replace_characters)
    encoding = "utf-8"
    if stream is not None:
        encoding = stream.encoding
        with suppress(OSError, ValueError):
            stream.flush()
    raw = TolerantOutput(descriptor)
    buffered = io.BufferedWriter(raw)
    interactive = raw.isatty() or descriptor == 2
    return io.TextIOWrapper(buffered, encoding, ERRORS, line_buffering=interactive)


def find_output_error() -> OSError | None:
    """Flush both streams, and return the error that kept standard output from taking everything.

    A reader that stops early (`| head -1`) is no error.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    error = raw.error if isinstance(raw, TolerantOutput) else None
    return None if error is None or error.errno in (errno.EPIPE, errno.EIO) else error


def _occupy_descriptors() -> None:
    """Open closed standard descriptors on the null device.

    Otherwise the next file that is opened gets their number, and receives what libraries print.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # `open` returns the lowest free number, which is this one. Workers inherit it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _replace_characters(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that the encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_REPLACEMENTS.get(each, "?") for each in characters), error.end

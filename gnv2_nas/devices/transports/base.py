"""The protocol of a transport: files to and from a device, and commands on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec


class Completed(msgspec.Struct, frozen=True):
    """A command that has ended on the device."""

    code: int
    """Exit code; 128 + number of the signal that killed it."""
    output: bytes
    errors: bytes


class RunningCommand(Protocol):
    """A command that runs on the device, with its input and output connected to this process."""

    def send(self, line: str) -> None:
        """Write a line to its input.

        Raises:
            ConnectionLostError: the connection was cut or the command has ended.
        """
        ...

    def lines(self) -> Iterator[str]:
        """Yield the lines of its output as they come; it ends when the command closes its output.

        Raises:
            ConnectionLostError: the connection was cut.
        """
        ...

    def wait(self, timeout: float) -> Completed:
        """Close its input and wait until it has ended; afterwards, `output` is empty.

        Raises:
            DeviceError: it did not end in that time; it was killed.
        """
        ...

    def kill(self) -> None:
        """End the command and the connection at once; does nothing if it has ended."""
        ...


class Transport(Protocol):
    """How a device is reached.

    A command is a sequence of words; no shell interprets them. Paths are absolute or relative to
    `folder`. Every method raises `DeviceError` or one of its classes, with one clear line, when the
    device fails; it has retried then what a retry can mend, a bounded number of times.
    """

    folder: str
    """The package's own folder on the device, as an absolute path; made when first needed."""

    def describe(self) -> str:
        """Return how the device is reached, for messages, such as "ssh pi@raspberrypi"."""
        ...

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout: float) -> Completed:
        """Run a command to its end, in `folder`.

        Args:
            command: program and arguments.
            stdin: its standard input.
            timeout: seconds after which it is killed.

        Raises:
            CommandNotFoundError: the device has no such program.
            DeviceError: the device cannot be reached, or the command took longer than `timeout`.
        """
        ...

    def start(self, command: Sequence[str]) -> AbstractContextManager[RunningCommand]:
        """Start a command, in `folder`; at the end of the block it is killed if it still runs.

        When this process or the connection ends, the command reads the end of its input.
        """
        ...

    def push(self, files: Mapping[str, bytes]) -> None:
        """Write files (path → content): each aside, then renamed, so that none is ever half.

        Raises:
            DeviceFullError: the device's disk is full; nothing half written stays.
        """
        ...

    def pull(self, path: str) -> bytes:
        """Return the content of a file.

        Raises:
            DeviceError: there is no such file, or it cannot be read.
        """
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """Return name → bytes of the files in a folder; {} if there is no such folder."""
        ...

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files, or folders with all they contain; what does not exist is skipped."""
        ...

    def close(self) -> None:
        """End the connection and every command that runs over it."""
        ...

"""The protocol of a transport: files to and from a device, and commands on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

_SIGNALS = 128
_KILLED = _SIGNALS + 9


class Completed(msgspec.Struct, frozen=True):
    """A command that has ended on the device."""

    code: int
    """Exit code; 128 + number of the signal that killed it."""
    output: bytes
    errors: bytes

    def explain(self) -> str:
        """Return how it ended, for a message: "exit code 3: No module named 'numpy'"."""
        if self.code == _KILLED:
            return "killed by the device's kernel, which happens when its memory is used up"
        if self.code > _SIGNALS:
            return f"ended by signal {self.code - _SIGNALS}"
        said = last_line(self.errors.decode(errors="replace"))
        return f"exit code {self.code}" + (f": {said}" if said else "")


def last_line(text: str) -> str:
    """Return the last line that is not empty, at most 300 characters: banners come before it."""
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return next((line[:300] for line in reversed(lines) if line), "")


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

    A command is a sequence of words; no shell interprets them. A program that was pushed is
    "./NAME". Paths are absolute or relative to `folder`; those that are written or removed must lie
    in it. Every method raises `DeviceError` or one of its classes, with one clear line, when the
    device fails. Connecting is tried again where that can help, a bounded number of times; a
    command that may have run is not. Threads may use a transport at the same time.
    """

    @property
    def folder(self) -> str:
        """The package's own folder on the device, as an absolute path; made when first needed.

        Raises:
            DeviceError: the device cannot be reached: where its user lives is asked once.
        """
        ...

    def describe(self) -> str:
        """Return how the device is reached, for messages, such as "ssh pi@raspberrypi"."""
        ...

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout: float) -> Completed:
        """Run a command to its end, in `folder`.

        Args:
            command: program and arguments.
            stdin: its standard input. A command without any is killed when the connection ends.
            timeout: seconds after which it is killed, with the processes that it started.

        Returns:
            The command that has ended, with whatever exit code; see `Completed.explain`.

        Raises:
            CommandNotFoundError: the device has no such program.
            ConnectionLostError: the connection was cut in the middle.
            DeviceError: the device cannot be reached, the program is for another processor, or the
                command took longer than `timeout`.
        """
        ...

    def start(self, command: Sequence[str]) -> AbstractContextManager[RunningCommand]:
        """Start a command, in `folder`; at the end of the block it is killed if it still runs.

        When this process or the connection ends, the command reads the end of its input.

        Raises:
            CommandNotFoundError: the device has no such program.
            DeviceError: the device cannot be reached.
        """
        ...

    def push(self, files: Mapping[str, bytes]) -> None:
        """Write files (path → content): each aside, then renamed, so that none is ever half.

        Their owner may execute them. Names that begin with a dot are refused.

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
        """Return name → bytes of the files in a folder; {} if there is no such folder.

        Hidden files and folders are left out.
        """
        ...

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files, or folders with all they contain; what does not exist is skipped."""
        ...

    def close(self) -> None:
        """End the connection and every command that runs over it."""
        ...

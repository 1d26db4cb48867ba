"""Client programs (sh, ssh, adb) as processes of their own, which run commands on a device."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO, cast

from gnv2_nas.devices.transports.base import Completed
from gnv2_nas.devices.transports.script import Ended, output_mark, read_ending, read_pid
from gnv2_nas.errors import ConnectionLostError, DeviceError

MAX_LINE = 1 << 24
"""Bytes of a line of a command's output; a longer one ends the command."""
MAX_ERRORS = 1 << 16
"""Bytes that are kept of the beginning and of the end of what a running command writes to its
errors."""
SECONDS_TO_END = 5.0
"""A client whose output has ended is expected to end within this time."""


def open_client(arguments: Sequence[str], stderr: int | IO[bytes]) -> Process:
    """Start a client program. The terminal's Ctrl-C does not reach it, and it sees no terminal.

    Raises:
        DeviceError: this machine has no such program.
    """
    try:
        return subprocess.Popen(  # noqa: S603  # words, no shell
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise DeviceError(
            f"this machine has no program {arguments[0]!r}, which reaches the device; install it"
        ) from None


Process = subprocess.Popen[bytes]
Explain = Callable[[int, bytes], DeviceError]
"""From exit code and errors of a client whose command did not report its end: what happened."""
Ending = Callable[[Ended], int]
"""From the end that a script reported: the exit code, or the error it stands for."""


def end_client(process: Process) -> None:
    """Kill a client and release its pipes."""
    process.kill()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()


class _Errors:
    """What a process writes to its errors: the first and the last `MAX_ERRORS` bytes.

    A thread reads them, so that the process never waits for a reader.
    """

    def __init__(self) -> None:
        reading, self.writing = os.pipe()
        self._kept = bytearray()
        self._ended = False
        self._heard = threading.Condition()
        self._thread = threading.Thread(target=self._listen, args=(reading,), daemon=True)
        self._thread.start()

    def read(self, timeout: float = 0.0) -> bytes:
        """Return what was written, after waiting for its end for at most `timeout` seconds."""
        self._thread.join(timeout)
        return bytes(self._kept)

    def wait_for(self, holds: Callable[[bytes], bool], timeout: float) -> None:
        """Return when `holds` does of what was written, when that has ended, or after `timeout`."""
        with self._heard:
            self._heard.wait_for(lambda: self._ended or holds(bytes(self._kept)), timeout)

    def _listen(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb", buffering=0) as pipe:
            while received := pipe.read(MAX_ERRORS):
                with self._heard:
                    kept = self._kept + received
                    del kept[MAX_ERRORS:-MAX_ERRORS]
                    self._kept = kept
                    self._heard.notify_all()
        with self._heard:
            self._ended = True
            self._heard.notify_all()


class RunningProcess:
    """A command that a client runs on a device, see `base.RunningCommand`.

    Args:
        arguments: the client program and its arguments.
        script: the first line of its input, see `script`.
        token: the token of that script.
        what: the command and the device, for messages.
        explain: see `Explain`.
        ending: see `Ending`.
        kill_remotely: kills a process group on the device.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        script: bytes,
        token: str,
        what: str,
        explain: Explain,
        ending: Ending,
        kill_remotely: Callable[[int], None],
    ) -> None:
        self._token, self._what = token, what
        self._explain, self._ending, self._kill_remotely = explain, ending, kill_remotely
        self._errors = _Errors()
        try:
            self._process = open_client(arguments, self._errors.writing)
        finally:
            os.close(self._errors.writing)  # the client has its own
        self._input = cast(IO[bytes], self._process.stdin)
        self._output = cast(IO[bytes], self._process.stdout)
        self._unread = b""
        self._killed = False
        self._write(script)

    def await_start(self, timeout: float) -> None:
        """Return when the device has begun to run the command.

        Raises:
            DeviceError: it has not.
        """
        late = time.monotonic() + timeout
        mark = output_mark(self._token)
        while (line := self._read_line(late)) is not None:
            if line.endswith(mark):
                # A command whose number is not known could not be killed.
                self._errors.wait_for(self._says_number, late - time.monotonic())
                return
        raise self._early_end() or DeviceError(f"{self._what} did not start")

    def send(self, line: str) -> None:
        if not self._write(line.encode() + b"\n"):
            raise self._early_end() or ConnectionLostError(
                f"{self._what} has ended and reads no more"
            )

    def lines(self) -> Iterator[str]:
        while (line := self._read_line(None)) is not None:
            yield line.decode(errors="replace")
        if (error := self._early_end()) is not None:
            raise error

    def wait(self, timeout: float) -> Completed:
        try:
            self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DeviceError(f"{self._what} did not end within {timeout:g} s") from None
        except (OSError, ValueError):  # another thread has closed the pipes
            self.kill()
        if self._killed:
            raise ConnectionLostError(f"{self._what} was killed")
        errors = self._errors.read(SECONDS_TO_END)
        ended = read_ending(errors, self._token)
        if ended is None:
            raise self._explain(self._process.returncode, errors)
        return Completed(self._ending(ended), b"", ended.errors)

    def kill(self) -> None:
        if self._killed:
            return
        self._killed = True
        try:
            errors = self._errors.read()
            pid = read_pid(errors, self._token)
            if pid and self._process.poll() is None and read_ending(errors, self._token) is None:
                self._kill_remotely(pid)
        finally:
            end_client(self._process)

    def _says_number(self, errors: bytes) -> bool:
        return bool(read_pid(errors, self._token) or read_ending(errors, self._token))

    def _write(self, content: bytes) -> bool:
        """Write to the command; return False if it does not read."""
        left = memoryview(content)
        try:
            while left:
                left = left[self._input.write(left) or 0 :]
        except (OSError, ValueError):  # ValueError: `wait` has closed the input
            return False
        return True

    def _read_line(self, late: float | None) -> bytes | None:
        """Return the next line without its end; None when the output has ended."""
        while b"\n" not in self._unread:
            if len(self._unread) > MAX_LINE:
                self.kill()
                raise DeviceError(
                    f"{self._what} sent a line of more than {MAX_LINE >> 20} MiB and was stopped"
                )
            if late is not None:
                left = late - time.monotonic()
                if left <= 0 or not select.select([self._output], [], [], left)[0]:
                    raise DeviceError(f"{self._what} did not start: the device does not answer")
            try:
                received = os.read(self._output.fileno(), 1 << 16)
            except (ValueError, OSError):  # another thread has killed the command
                return None
            if not received:
                rest, self._unread = self._unread, b""
                return rest or None
            self._unread += received
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _early_end(self) -> DeviceError | None:
        """Return why the command ended, if that was not by itself."""
        if self._killed:
            return ConnectionLostError(f"{self._what} was killed")
        try:
            code = self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return None  # it has closed its output and runs on
        errors = self._errors.read(SECONDS_TO_END)
        ended = read_ending(errors, self._token)
        if ended is None:
            return self._explain(code, errors)
        try:
            self._ending(ended)
        except DeviceError as error:
            return error
        return None


def run_client(
    arguments: Sequence[str], content: bytes, *, hold_input: bool, timeout: float
) -> tuple[int, bytes, bytes]:
    """Run a client program to its end and return its exit code, output and errors.

    Args:
        arguments: program and arguments.
        content: its input.
        hold_input: keep the input open after `content` until the program has ended.
        timeout: seconds.

    Raises:
        subprocess.TimeoutExpired: it was killed; the exception has its output and errors so far.
    """
    process = open_client(arguments, subprocess.PIPE)
    with contextlib.ExitStack() as stack:
        stack.callback(end_client, process)
        pipe, process.stdin = cast(IO[bytes], process.stdin), None
        if hold_input:
            stack.callback(os.close, os.dup(pipe.fileno()))
        # `communicate` writes 4 KiB at a time, and waits for other threads before each.
        threading.Thread(target=_feed, args=(pipe, content), daemon=True).start()
        output, errors = process.communicate(timeout=timeout)
    return process.returncode, output, errors


def _feed(pipe: IO[bytes], content: bytes) -> None:
    with contextlib.suppress(OSError), pipe:  # the command may end before it has read all
        left = memoryview(content)
        while left:
            left = left[pipe.write(left) :]

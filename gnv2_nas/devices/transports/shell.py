"""Commands on a device through a client program that runs a shell there."""

from __future__ import annotations

import contextlib
import re
import subprocess
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gnv2_nas.devices.transports.base import Completed
from gnv2_nas.devices.transports.client import RunningProcess, run_client
from gnv2_nas.devices.transports.script import (
    NO_COMMAND,
    NO_FOLDER,
    Ended,
    new_token,
    read_ending,
    read_output,
    read_pid,
    write_kill,
    write_script,
)
from gnv2_nas.errors import (
    CommandNotFoundError,
    ConnectionLostError,
    DeviceError,
    DeviceFullError,
    ProfileError,
)

SECONDS_TO_START = 30.0
"""A device that has not begun to run a command within this time does not answer."""
SECONDS_TO_KILL = 5.0
SECONDS_FOR_SMALL = 60.0
"""Limit for a command that looks at files, or moves or removes them."""
BYTES_PER_SECOND = 50_000
"""The slowest connection over which files are sent; a slower one times out."""

FULL = re.compile(r"no space left|disk quota exceeded|file too large|file size limit", re.I)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MACHINES = {3: "x86", 40: "armv7", 62: "x86-64", 183: "aarch64", 243: "riscv64"}
"""Numbers of processors in the header of ELF files."""
_ELF_HEADER = 20
_CODES_OF_REFUSAL = (2, 126, 127)
"""Exit codes of a shell whose kernel refuses a program: some shells read it as a script then."""
_CODE_OF_SIZE_LIMIT = 128 + 25


class ShellCommands(ABC):
    """The part of a transport that runs commands, see `base.Transport`.

    Args:
        name: name of the device profile, which names the folder on the device.

    Raises:
        ProfileError: the name cannot be a folder's.
    """

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise ProfileError(
                f"device name {name!r} cannot name a folder on the device; "
                "use letters, digits, '.', '_' and '-', a letter or digit first"
            )
        self._name = name
        self._running: weakref.WeakSet[RunningProcess] = weakref.WeakSet()

    @property
    @abstractmethod
    def folder(self) -> str: ...

    @abstractmethod
    def describe(self) -> str: ...

    @abstractmethod
    def _client(self) -> list[str]:
        """Return a program that runs `script.READ_SCRIPT` on the device; connect it if necessary.

        Raises:
            DeviceError: the device cannot be reached.
        """

    @abstractmethod
    def _explain(self, code: int, errors: str) -> DeviceError:
        """Return the error of a client that ended before its script did."""

    def _is_connected(self) -> bool:
        """Return whether a command can be sent without connecting first."""
        return True

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout: float) -> Completed:
        token = new_token()
        script = write_script(command, self.folder, token, reads_input=bool(stdin))
        try:
            code, output, errors = run_client(
                self._client(), script + stdin, hold_input=not stdin, timeout=timeout
            )
        except subprocess.TimeoutExpired as late:
            if pid := read_pid(late.stderr or b"", token):
                self._kill(pid)
            raise DeviceError(
                f"{self._what(command)} did not end within {timeout:g} s and was stopped"
            ) from None
        ended = read_ending(errors, token)
        if ended is None:
            raise self._explain_client(command, token, code, errors)
        code = self._read_code(command, ended)
        return Completed(code, read_output(output, token), ended.errors)

    @contextmanager
    def start(self, command: Sequence[str]) -> Iterator[RunningProcess]:
        token = new_token()
        running = RunningProcess(
            self._client(),
            write_script(command, self.folder, token, reads_input=True),
            token,
            self._what(command),
            explain=lambda code, errors: self._explain_client(command, token, code, errors),
            ending=lambda ended: self._read_code(command, ended),
            kill_remotely=self._kill,
        )
        self._running.add(running)
        try:
            running.await_start(SECONDS_TO_START)
            yield running
        finally:
            running.kill()

    def close(self) -> None:
        for running in list(self._running):
            running.kill()

    def _shell(self, failure: str, text: str, *arguments: str, stdin: bytes = b"") -> Completed:
        """Run a text of ours in a shell on the device; the arguments are $1, $2 and so on.

        Raises:
            DeviceError: its exit code is not 0; the message begins with `failure`.
        """
        completed = self.run(
            ["sh", "-c", f"export LC_ALL=C; {text}", "sh", *arguments],
            stdin=stdin,
            timeout=SECONDS_FOR_SMALL + len(stdin) / BYTES_PER_SECOND,
        )
        return self._require(failure, completed)

    def _require(self, failure: str, completed: Completed) -> Completed:
        if completed.code == 0:
            return completed
        raise self._file_error(failure, completed.code, completed.errors)

    def _file_error(self, failure: str, code: int, errors: bytes) -> DeviceError:
        text = errors.decode(errors="replace")
        if code == _CODE_OF_SIZE_LIMIT or FULL.search(text):
            return DeviceFullError(
                f"{self.describe()}: {failure}: the disk is full; free some space there"
            )
        reason = Completed(code, b"", errors).explain()
        return DeviceError(f"{self.describe()}: {failure}: {reason}")

    def _read_code(self, command: Sequence[str], ended: Ended) -> int:
        if ended.result == NO_COMMAND:
            raise CommandNotFoundError(
                f"{self.describe()} has no program {command[0]!r}; install it there, "
                "or give its full path"
            )
        if ended.result == NO_FOLDER:
            raise self._file_error(f"the folder {self.folder!r} cannot be made", 1, ended.errors)
        code = int(ended.result)
        if "/" in command[0] and code in _CODES_OF_REFUSAL:
            self._check_machine(command[0])
        return code

    def _check_machine(self, program: str) -> None:
        """Raise DeviceError if a program is for another processor than the device's own ones."""
        read = f'head -c {_ELF_HEADER} "$1" && head -c {_ELF_HEADER} /proc/self/exe'
        with contextlib.suppress(DeviceError):
            output = self._shell("", read, program).output
            asked, own = _read_machine(output[:_ELF_HEADER]), _read_machine(output[_ELF_HEADER:])
            if not asked or not own or asked == own:
                return
        if asked and own:
            raise DeviceError(
                f"{program!r} is a program for {asked}, but {self.describe()} runs programs "
                f"for {own}; push one that is built for it"
            )

    def _explain_client(
        self, command: Sequence[str], token: str, code: int, errors: bytes
    ) -> DeviceError:
        if f"{token} begin\n".encode() in errors:
            return ConnectionLostError(
                f"the connection to {self.describe()} was cut while {command[0]!r} ran there"
            )
        return self._explain(code, errors.decode(errors="replace"))

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(DeviceError):
            if self._is_connected():
                self.run(write_kill(pid), timeout=SECONDS_TO_KILL)

    def _what(self, command: Sequence[str]) -> str:
        return f"{command[0]!r} on {self.describe()}"


def _read_machine(header: bytes) -> str:
    """Return the processor that an ELF file is for; "" for other files."""
    if len(header) < _ELF_HEADER or not header.startswith(b"\x7fELF"):
        return ""
    number = int.from_bytes(header[18:20], "little" if header[5] == 1 else "big")
    return _MACHINES.get(number, f"processor {number}")

"""A device that a benchmark program measures: one short process for each visit of a network."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import PurePosixPath

from gnv2_nas.cores import pinned
from gnv2_nas.devices.fingerprint import Fingerprint, fingerprint
from gnv2_nas.devices.profile import BenchmarkProgram, DeviceProfile
from gnv2_nas.devices.programs.kinds import KINDS, Build, Task
from gnv2_nas.devices.programs.lock import lock_device
from gnv2_nas.devices.programs.machine import describe_device, read_remote_files
from gnv2_nas.devices.programs.readings import Reading
from gnv2_nas.devices.remote_files import RemoteFiles, StoredFiles
from gnv2_nas.devices.transports.base import Completed, Transport
from gnv2_nas.errors import DeviceError, MeasurementError
from gnv2_nas.runner.conditions import list_patterns, read_files
from gnv2_nas.runner.lock import DeviceLock, Waiting
from gnv2_nas.runner.rounds import RoundCallback, SessionOrder, Visit
from gnv2_nas.runner.timing import RuntimeFiles

WARM_UP = 2
"""Calls before those that count."""
MIN_CALLS, MAX_CALLS = 3, 50
SECONDS_OF_CALLS = 0.1
"""A visit has so many calls that they take about this long; a process takes longer to start."""
TIMEOUT = 300.0
BUILD_TIMEOUT = 1800.0
"""Seconds. TensorRT tries many kernels when it builds an engine, for minutes on a small board."""
_CANNOT_RUN, _NOT_FOUND = 126, 127
"""Exit codes of shells and of `taskset`."""
_IDENTIFY = (
    'case $1 in */*) p=$1;; *) p=$(command -v "$1");; esac; '
    'test -f "$p" || exit 127; test -x "$p" || exit 126; exec cksum "$p"'
)
"""Prints the checksum of the program $1."""
_TELLING = re.compile(r"error|fail|cannot|could not|unknown|denied|invalid|not found", re.I)
MAX_LINE = 300
"""Characters of a program's line in a message."""
ENGINES = "engines"
MAX_ENGINES = 100
"""Engines of earlier networks are removed when there are more."""


class ProgramHost:
    """The machine of a device whose profile names a benchmark program.

    Args:
        name: name of the device.
        profile: its profile, with a `benchmark`.
        program: the profile's `benchmark`.
        transport: how the device is reached.
    """

    def __init__(
        self, name: str, profile: DeviceProfile, program: BenchmarkProgram, transport: Transport
    ) -> None:
        self.name, self.profile, self.program, self.transport = name, profile, program, transport
        self.is_remote = profile.transport != "local"
        self.kind = KINDS[program.kind]
        self._files = RemoteFiles(transport)
        self._turn = threading.RLock()
        self._checksum = ""

    def identify(self) -> str:
        """Return CRC and size of the program, which tell its versions apart.

        Raises:
            DeviceError: the device has no such program, or it is not executable.
        """
        if not self._checksum:
            self._checksum = self._read_checksum()
        return self._checksum

    @property
    def build_key(self) -> str:
        """Hash of what an engine depends on, besides its network."""
        parts = (self.identify(), self.program.arguments, self.profile.precision)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    def fingerprint(self) -> Fingerprint:
        words = (self.program.kind, *self.program.arguments, f"({self.identify()})")
        if not self.is_remote:
            return fingerprint(" ".join(words))
        return describe_device(self.transport, " ".join(words))

    def store(self, networks: Sequence[RuntimeFiles]) -> list[StoredFiles]:
        """Send files that are not on the device yet."""
        return self._files.store(networks)

    def open_bench(self, networks: Sequence[RuntimeFiles]) -> ProgramBench:
        self.identify()
        paths = self._files.store(networks, in_use=True)
        return ProgramBench(self, [path for (path,) in paths])

    def disconnect(self) -> None:
        """End the connection to the machine; the next use opens another."""
        self._files.forget()
        self.transport.close()

    def close(self) -> None:
        """End the connection to the machine for good."""
        self.disconnect()

    def turn(self) -> AbstractContextManager[object]:
        return self._turn

    def shared(self, waiting: Waiting) -> AbstractContextManager[None]:
        if self.is_remote:
            return lock_device(self.transport, self.name, "shared", waiting)
        return DeviceLock.shared(waiting)

    def exclusive(self, waiting: Waiting) -> AbstractContextManager[None]:
        if self.is_remote:
            return lock_device(self.transport, self.name, "exclusive", waiting)
        return DeviceLock.exclusive(waiting)

    def run(self, arguments: Sequence[str], timeout: float) -> str:
        """Run the program on the profile's cores and return all that it printed.

        Raises:
            DeviceError: it failed, or the device did.
        """
        command = [self.program.program, *arguments, *self.program.arguments]
        pinning = self.pinning()
        completed = self.transport.run([*pinning, *command], timeout=timeout)
        if completed.code:
            if pinning:
                # The transport explains why a device cannot run a program that is the first word;
                # `taskset` gives a program for another processor to a shell.
                self.transport.run(command, timeout=timeout)
            raise DeviceError(f"{self._what()} failed: {_explain(completed)}")
        return _text(completed)

    def read(self, text: str) -> Reading:
        """Return the times in what the program printed.

        Raises:
            DeviceError: there are none, or they are not positive numbers.
        """
        try:
            reading = self.kind.read(text)
        except MeasurementError as error:
            raise DeviceError(f"{self._what()}: {error}") from None
        if reading is None:
            said = _telling_line(text)
            printed = f"printed no times; its last line: {said!r}" if said else "printed nothing"
            raise DeviceError(f"{self._what()} {printed}; {self.kind.advice}")
        return reading

    def _read_checksum(self) -> str:
        program = self.program.program
        completed = self.transport.run(["sh", "-c", _IDENTIFY, "sh", program], timeout=TIMEOUT)
        where = f"{self.name} ({self.transport.describe()})"
        if completed.code == _NOT_FOUND:
            raise DeviceError(
                f"there is no program {program!r} on {where}; put {self.program.kind} there and "
                f"its path into the profile (benchmark: program)"
            )
        if completed.code == _CANNOT_RUN:
            raise DeviceError(f"{program!r} on {where} is not executable; chmod +x it there")
        words = completed.output.decode(errors="replace").split()
        if completed.code or len(words) < 2:
            raise DeviceError(f"{program!r} on {where} cannot be read: {_explain(completed)}")
        return f"{words[0]}-{words[1]}"

    def pinning(self) -> list[str]:
        """Return the command that runs another one on the profile's cores."""
        # The mask works with taskset of util-linux, busybox and Android; a list works not with all.
        cores = self.profile.cores
        return ["taskset", f"{sum(1 << core for core in set(cores)):x}"] if cores else []

    def _what(self) -> str:
        return f"{self.program.program!r} on {self.name}"


class ProgramBench:
    """Networks that a program loads anew for every visit.

    Args:
        host: the machine with the program.
        files: path of each network's file on the device.
    """

    def __init__(self, host: ProgramHost, files: Sequence[str]) -> None:
        self._host, self._files = host, list(files)
        self._calls: dict[int, int] = {}
        self._seconds: dict[int, float] = {}
        if host.kind.build is not None:
            self._remove_engines()

    @property
    def seconds_per_round(self) -> float:
        return sum(self._seconds.values())

    def load(self, number: int) -> None:
        """Run the network once; there are no logits, because the program prints none."""
        if (build := self._host.kind.build) is not None:
            self._build(number, build)
        started = time.monotonic()
        reading = self._run(number, MIN_CALLS)
        taken = time.monotonic() - started
        calls = round(SECONDS_OF_CALLS / reading.counted)
        calls = min(max(calls, MIN_CALLS), MAX_CALLS)
        self._calls[number] = calls
        self._seconds[number] = taken + (calls - MIN_CALLS) * reading.counted

    def run_session(self, order: SessionOrder, report: RoundCallback) -> None:
        """Every visit loads its network, so the order of loading does not matter."""
        end = time.monotonic() + order.seconds
        for sequence in order.rounds:
            report([self._visit(number) for number in sequence])
            if time.monotonic() >= end:
                break

    def peak_memory(self, _number: int, _minimal: int) -> int:
        raise MeasurementError(f"{self._host.program.kind} does not tell the memory of a network")

    def read_files(self, *, thorough: bool) -> Mapping[str, str]:
        host = self._host
        if host.is_remote:
            return read_remote_files(host.transport, host.pinning(), thorough=thorough)
        with pinned(host.profile.cores):
            return read_files(list_patterns(thorough=thorough))

    def _visit(self, number: int) -> Visit:
        reading = self._run(number, self._calls.get(number, MIN_CALLS))
        return reading.first, reading.first, reading.counted, reading.counted

    def _run(self, number: int, calls: int) -> Reading:
        host = self._host
        path = self._files[number] if host.kind.build is None else self._engine(number)
        return host.read(host.run(host.kind.arguments(self._task(path, calls)), TIMEOUT))

    def _build(self, number: int, arguments: Build) -> None:
        """Build the network's engine, unless the device has it."""
        host, path = self._host, self._engine(number)
        folder, _, name = path.partition("/")
        if name in host.transport.sizes(folder):
            return
        # Built aside and renamed, so that a kill leaves no half engine.
        aside = f"{path}.partial"
        host.transport.run(["mkdir", "-p", folder], timeout=TIMEOUT)
        host.run(arguments(self._task(self._files[number], 1), aside), BUILD_TIMEOUT)
        moved = host.transport.run(["mv", aside, path], timeout=TIMEOUT)
        if moved.code:
            raise DeviceError(f"{host.program.program!r} on {host.name} wrote no engine")

    def _engine(self, number: int) -> str:
        stem = PurePosixPath(self._files[number]).stem
        return f"{ENGINES}/{stem}-{self._host.build_key}.engine"

    def _remove_engines(self) -> None:
        found = self._host.transport.sizes(ENGINES)
        if len(found) > MAX_ENGINES:
            wanted = {self._engine(number) for number in range(len(self._files))}
            self._host.transport.remove(sorted({f"{ENGINES}/{name}" for name in found} - wanted))

    def _task(self, path: str, calls: int) -> Task:
        profile = self._host.profile
        return Task(path, profile.threads, profile.precision, WARM_UP, calls)


def _text(completed: Completed) -> str:
    return b"\n".join((completed.output, completed.errors)).decode(errors="replace")


def _telling_line(text: str) -> str:
    """Return the last line that names an error, or else the last one; "" if there is none."""
    lines = [" ".join(line.split())[:MAX_LINE] for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return next(reversed(telling or lines), "")


def _explain(completed: Completed) -> str:
    """Return why a program failed: programs log more lines after the one that tells."""
    said = _telling_line(_text(completed))
    ended = completed.explain().partition(":")[0]
    return f"{ended}: {said}" if said else ended

"""A device that another machine is: it runs a runner, and this process tells it what to do."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.remote_files import RemoteFiles, StoredFiles
from gnv2_nas.devices.runner_connection import PATIENCE, Answer, RunnerConnection
from gnv2_nas.devices.runner_program import (
    ProgramFor,
    RunnerProgram,
    native_runner,
    python_runner,
)
from gnv2_nas.devices.transports import open_transport
from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.errors import CommandNotFoundError, DeviceError, MeasurementError, OutOfTimeError
from gnv2_nas.runner.conditions import list_patterns
from gnv2_nas.runner.lock import Waiting, waiting_deadline
from gnv2_nas.runner.rounds import RoundCallback, SessionOrder
from gnv2_nas.runner.timing import RuntimeFiles, timing_image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def open_remote_host(name: str, profile: DeviceProfile, label: str) -> RemoteHost:
    """Return the machine of a profile whose transport is not local; nothing is sent yet.

    Args:
        name: name of the device.
        profile: its profile.
        label: runtime's name in fingerprints.
    """
    program: RunnerProgram | ProgramFor = (
        partial(native_runner, profile) if profile.runner == "native" else python_runner(profile)
    )
    return RemoteHost(name, label, program, open_transport(name, profile))


class RemoteHost:
    """The machine of a device, reached by a transport.

    The connection is opened when it is first needed and kept for all batches.

    Args:
        name: name of the device.
        label: runtime's name in fingerprints.
        program: what runs on the device, or what returns it when it is first needed.
        transport: how the device is reached.
    """

    is_remote = True

    def __init__(
        self, name: str, label: str, program: RunnerProgram | ProgramFor, transport: Transport
    ) -> None:
        self.name, self.transport = name, transport
        self._label, self._program_for = label, program
        self._files = RemoteFiles(transport)
        self._connection: RunnerConnection | None = None
        self._closed = False
        self._turn, self._starting = threading.RLock(), threading.Lock()

    @property
    def connection(self) -> RunnerConnection:
        """The connection to the runner, which is started if necessary."""
        with self._starting:  # two threads must not start two runners
            self._check_open()
            if self._connection is None:
                connection = self._start()
                if self._closed:  # meanwhile
                    connection.close()
                    self._check_open()
                self._connection = connection
            return self._connection

    def fingerprint(self) -> Fingerprint:
        machine = dict(self.connection.machine)
        runtime = f"{self._label} {machine.pop('engine', '')}"
        try:
            return msgspec.convert({**machine, "runtime": runtime}, Fingerprint)
        except msgspec.ValidationError as error:
            raise DeviceError(f"the runner on {self.name} does not describe it: {error}") from None

    def store(self, networks: Sequence[RuntimeFiles]) -> list[StoredFiles]:
        """Send files that are not on the device yet."""
        self._check_open()  # the transport would connect again
        return self._files.store(networks)

    def open_bench(self, networks: Sequence[RuntimeFiles]) -> RemoteBench:
        connection, sides = self.connection, list[int]()
        if self._program.reads_image:
            sides = sorted({_input_side(files) for files in networks} - {0})
        images = [{".image": timing_image(side).tobytes()} for side in sides]
        stored = self._files.store([*networks, *images], in_use=True)
        bench = RemoteBench(self.name, connection, stored[: len(networks)])
        for side, (path,) in zip(sides, stored[len(networks) :], strict=True):
            connection.send("image", side, path)
        return bench

    @property
    def _program(self) -> RunnerProgram:
        if not isinstance(self._program_for, RunnerProgram):
            self._program_for = self._program_for(self.transport)
        return self._program_for

    def turn(self) -> AbstractContextManager[object]:
        return self._turn

    @contextmanager
    def shared(self, waiting: Waiting) -> Iterator[None]:
        """No process of this package measures on the device within the block."""
        with self._lock("shared", waiting):
            yield

    @contextmanager
    def exclusive(self, waiting: Waiting) -> Iterator[None]:
        """No other process of this package uses the device within the block."""
        with self._lock("exclusive", waiting):
            yield

    def disconnect(self) -> None:
        """End the runner; the next use starts it afresh."""
        connection, self._connection = self._connection, None
        self._files.forget()
        if connection is not None:
            connection.close()

    def close(self) -> None:
        self._closed = True
        self.disconnect()
        self.transport.close()

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError(f"the connection to {self.name} was closed")

    def _start(self) -> RunnerConnection:
        program = self._program
        if self.transport.sizes(".").get(program.name) != len(program.content):
            self.transport.push({program.name: program.content})
        try:
            return RunnerConnection(self.name, self.transport, program.command)
        except CommandNotFoundError:
            raise DeviceError(
                f"{program.command[0]!r} is not on {self.name}: set the device up with "
                f"gnv2-nas devices add {self.name} URL"
            ) from None

    @contextmanager
    def _lock(self, mode: str, waiting: Waiting) -> Iterator[None]:
        connection = self.connection
        connection.send("lock", mode)
        try:
            connection.await_event(
                "locked", lambda answer: _tell(answer, waiting), waiting_deadline()
            )
        except TimeoutError:
            self.disconnect()
            raise OutOfTimeError(
                f"the time limit was reached while another gnv2-nas used {self.name}; try again, "
                "or give more with --timeout"
            ) from None
        try:
            yield
        except DeviceError:
            # Whatever the runner still says is not wanted any more; the lock ends with it.
            self.disconnect()
            self._check_open()  # another thread has closed the device, which needs no retry
            raise
        except MeasurementError:
            with suppress(DeviceError):
                self._unlock(connection)
            raise
        except BaseException:  # such as Ctrl-C: what the runner does is of no use any more
            self.disconnect()
            raise
        else:
            self._unlock(connection)

    def _unlock(self, connection: RunnerConnection) -> None:
        connection.send("unlock")
        connection.await_event("unlocked")


class RemoteBench:
    """Networks on another machine.

    Args:
        name: name of the device.
        connection: its runner.
        files: paths of each network's files on the device.
    """

    seconds_per_round = 0.0

    def __init__(
        self, name: str, connection: RunnerConnection, files: Sequence[Iterable[str]]
    ) -> None:
        self._name, self._connection = name, connection
        self._connection.send("forget")
        for number, paths in enumerate(files):
            self._connection.send("network", number, *paths)

    def load(self, number: int) -> NDArray[np.float32]:
        """The first session that is run takes over what was loaded here."""
        import numpy as np

        self._connection.send("load", number)
        logits = self._connection.await_event("loaded").logits
        return np.array([logits], np.float32)

    def run_session(self, order: SessionOrder, report: RoundCallback) -> None:
        loading, *rounds = (",".join(map(str, each)) for each in (order.loading, *order.rounds))
        left = list(reversed(order.rounds))

        def handle(answer: Answer) -> None:
            for visits in answer.rounds:
                if not left or len(visits) != len(left.pop()) or not _are_times(visits):
                    raise DeviceError(
                        f"the runner on {self._name} sent a round that was not asked for"
                    )
                report(visits)

        self._connection.send("session", order.seconds, loading, ";".join(rounds))
        self._connection.await_event("done", handle)
        if len(left) == len(order.rounds):
            raise DeviceError(f"the runner on {self._name} ended a session without a round")

    def peak_memory(self, number: int, minimal: int) -> int:
        self._connection.send("memory", number, minimal)
        peak = self._connection.await_event("memory").bytes
        if peak <= 0:
            raise DeviceError(f"the runner on {self._name} sent {peak} bytes of memory")
        return peak

    def read_files(self, *, thorough: bool) -> Mapping[str, str]:
        self._connection.send("conditions", *list_patterns(thorough=thorough))
        return self._connection.await_event("conditions").files


def _tell(answer: Answer, waiting: Waiting) -> None:
    if answer.event == "waiting":
        waiting(answer.message)


def _are_times(visits: Sequence[Sequence[float]]) -> bool:
    # A device that calls for longer than `PATIENCE` is given up.
    return all(0 <= each <= PATIENCE for visit in visits for each in visit)


def _input_side(files: RuntimeFiles) -> int:
    """Return the side of the input of an ncnn network; 0 for a damaged file, which is refused."""
    param = next((each for name, each in files.items() if name.endswith(".param")), b"")
    found = re.search(rb"^Input .*? 0=(\d{1,4})\b", param, re.MULTILINE)
    return int(found[1]) if found else 0

"""The machine of a device: it loads networks and times them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from gnv2_nas.devices.fingerprint import Fingerprint, fingerprint
from gnv2_nas.runner.lock import DeviceLock, Waiting
from gnv2_nas.runner.rounds import RoundCallback, Run, SessionOrder, run_session
from gnv2_nas.runner.timing import RuntimeFiles, Session
from gnv2_nas.runtimes.base import Runtime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Bench(Protocol):
    """Networks on a device, ready to be loaded and timed. They are numbered from 0."""

    def load(self, number: int) -> NDArray[np.float32]:
        """Load a network and return its logits (1, num_classes) for `timing_image`.

        Raises:
            MeasurementError: the runtime refused the network, or the device failed.
        """
        ...

    def run_session(self, order: SessionOrder, report: RoundCallback) -> None:
        """Load networks afresh and time their calls, see `rounds.run_session`.

        Raises:
            MeasurementError: see `load`.
        """
        ...


class Host(Protocol):
    """The machine of a device."""

    is_remote: bool
    """Whether it is another machine, which this one does not disturb."""

    def fingerprint(self) -> Fingerprint:
        """Return the machine and software that latencies are measured on.

        Raises:
            MeasurementError: the machine cannot be reached.
        """
        ...

    def store(self, networks: Sequence[RuntimeFiles]) -> object:
        """Bring the files of networks to the machine ahead of `open_bench`; another thread may
        measure meanwhile.

        Raises:
            MeasurementError: see `fingerprint`.
        """
        ...

    def open_bench(self, networks: Sequence[RuntimeFiles]) -> Bench:
        """Bring the files of networks to the machine.

        Raises:
            MeasurementError: see `fingerprint`.
        """
        ...

    def disconnect(self) -> None:
        """End the connection to the machine, if there is one; the next use opens another."""
        ...

    def shared(self, waiting: Waiting) -> AbstractContextManager[None]:
        """Within the block no process of this package measures on the machine, see `lock`."""
        ...

    def exclusive(self, waiting: Waiting) -> AbstractContextManager[None]:
        """Within the block no other process of this package uses the machine, see `lock`."""
        ...


class LocalHost:
    """This process, on this machine."""

    is_remote = False

    def __init__(self, runtime: Runtime, threads: int) -> None:
        self._runtime, self._threads = runtime, threads
        self.shared, self.exclusive = DeviceLock.shared, DeviceLock.exclusive

    def fingerprint(self) -> Fingerprint:
        return fingerprint(self._runtime.version())

    def store(self, _: Sequence[RuntimeFiles]) -> None:
        """Files are loaded from memory."""

    def disconnect(self) -> None:
        """There is no connection."""

    def open_bench(self, networks: Sequence[RuntimeFiles]) -> LocalBench:
        return LocalBench(self._runtime, self._threads, networks)


class LocalBench:
    """Networks in this process."""

    def __init__(self, runtime: Runtime, threads: int, networks: Sequence[RuntimeFiles]) -> None:
        self._runtime, self._threads, self._networks = runtime, threads, networks
        self._fresh: dict[int, Session] = {}

    def load(self, number: int) -> NDArray[np.float32]:
        """The first session that is run takes over what was loaded here."""
        self._fresh[number] = self._open(number)
        return self._fresh[number].logits()

    def run_session(self, order: SessionOrder, report: RoundCallback) -> None:
        run_session(self._take, self._runtime.timer, order, report)

    def _take(self, number: int) -> Run:
        return (self._fresh.pop(number, None) or self._open(number)).run

    def _open(self, number: int) -> Session:
        return self._runtime.load(self._networks[number], self._threads)

"""The machine of a device: it loads networks and times them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gnv2_nas.cores import pinned
from gnv2_nas.devices.fingerprint import Fingerprint, fingerprint
from gnv2_nas.runner.conditions import list_patterns, read_files
from gnv2_nas.runner.lock import DeviceLock, Waiting
from gnv2_nas.runner.peak_memory import measure_peak_memory
from gnv2_nas.runner.rounds import RoundCallback, Run, SessionOrder, run_session
from gnv2_nas.runner.timing import RuntimeFiles, Session
from gnv2_nas.runtimes.base import Runtime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Bench(Protocol):
    """Networks on a device, ready to be loaded and timed. They are numbered from 0."""

    @property
    def seconds_per_round(self) -> float:
        """Seconds that a round of all loaded networks takes at least, besides their calls; 0 if
        they stay loaded."""
        ...

    def load(self, number: int) -> NDArray[np.float32] | None:
        """Load a network and return its logits (1, num_classes) for `timing_image`.

        Returns:
            None if the device does not tell the logits.

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

    def peak_memory(self, number: int, minimal: int) -> int:
        """Return bytes, see `runner.peak_memory`.

        Args:
            number: the network.
            minimal: a network with the same kinds of operators and next to no weights.

        Raises:
            MeasurementError: see `load`; or the machine does not tell it.
        """
        ...

    def read_files(self, *, thorough: bool) -> Mapping[str, str]:
        """Return the files that show the state of the device, see `runner.conditions.read_files`.

        A device that cannot tell returns {}.

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

    def store(self, networks: Sequence[RuntimeFiles]) -> Sequence[RuntimeFiles]:
        """Bring the files of networks to the machine ahead of `open_bench`; another thread may
        measure meanwhile.

        Returns:
            The files, for `open_bench`: nothing that takes long is done to them again.

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

    def close(self) -> None:
        """End the connection for good: a thread that still measures gets a `DeviceError`."""
        ...

    def turn(self) -> AbstractContextManager[object]:
        """Within the block no other thread of this process uses a bench of the machine."""
        ...

    def shared(self, waiting: Waiting) -> AbstractContextManager[None]:
        """Within the block no process of this package measures on the machine, see `lock`."""
        ...

    def exclusive(self, waiting: Waiting) -> AbstractContextManager[None]:
        """Within the block no other process of this package uses the machine, see `lock`."""
        ...


class LocalHost:
    """This process, on this machine.

    Args:
        runtime: loads and times networks.
        threads: number of threads of the runtime.
        cores: cores that the networks run on; () for all.
        pace: calls a second; None for no pauses.
    """

    is_remote = False

    def __init__(
        self,
        runtime: Runtime,
        threads: int,
        cores: Sequence[int] = (),
        pace: float | None = None,
    ) -> None:
        self._runtime, self._threads, self._cores, self._pace = runtime, threads, cores, pace
        self.shared, self.exclusive = DeviceLock.shared, DeviceLock.exclusive

    def turn(self) -> AbstractContextManager[object]:
        """The lock of the machine excludes other threads, too."""
        return nullcontext()

    def fingerprint(self) -> Fingerprint:
        return fingerprint(self._runtime.version())

    def store(self, networks: Sequence[RuntimeFiles]) -> Sequence[RuntimeFiles]:
        """Return them: files are loaded from memory."""
        return networks

    def disconnect(self) -> None:
        """There is no connection."""

    def close(self) -> None:
        """There is no connection."""

    def open_bench(self, networks: Sequence[RuntimeFiles]) -> LocalBench:
        return LocalBench(self._runtime, self._threads, networks, self._cores, self._pace)


class LocalBench:
    """Networks in this process."""

    seconds_per_round = 0.0

    def __init__(
        self,
        runtime: Runtime,
        threads: int,
        networks: Sequence[RuntimeFiles],
        cores: Sequence[int] = (),
        pace: float | None = None,
    ) -> None:
        self._runtime, self._threads, self._networks = runtime, threads, networks
        self._cores, self._seconds = cores, 1 / pace if pace else 0.0
        self._fresh: dict[int, Session] = {}

    def load(self, number: int) -> NDArray[np.float32]:
        """The first session that is run takes over what was loaded here."""
        with pinned(self._cores):
            self._fresh[number] = self._open(number)
            return self._fresh[number].logits()

    def run_session(self, order: SessionOrder, report: RoundCallback) -> None:
        # An engine starts its threads when it loads a network, so loading is pinned, too.
        with pinned(self._cores):
            run_session(self._take, self._runtime.timer, order, report, self._seconds)

    def peak_memory(self, number: int, minimal: int) -> int:
        runtime = self._runtime
        with tempfile.TemporaryDirectory() as folder, pinned(self._cores):
            return measure_peak_memory(
                _write(self._networks[number], f"{folder}/network"),
                _write(self._networks[minimal], f"{folder}/minimal"),
                runtime.name, self._threads, runtime.precision, runtime.processor,
            )  # fmt: skip

    def read_files(self, *, thorough: bool) -> Mapping[str, str]:
        with pinned(self._cores):
            return read_files(list_patterns(thorough=thorough))

    def _take(self, number: int) -> Run:
        return (self._fresh.pop(number, None) or self._open(number)).run

    def _open(self, number: int) -> Session:
        return self._runtime.load(self._networks[number], self._threads)


def _write(files: RuntimeFiles, stem: str) -> list[str]:
    """Write the files of a network and return their paths."""
    for suffix, content in files.items():
        Path(stem + suffix).write_bytes(content)
    return [stem + suffix for suffix in files]

"""The devices of a search: which of them measure, and which are set aside because they failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import DeviceError, MeasurementError, first_line
from gnv2_nas.runner.lock import Waiting, ignore_waiting
from gnv2_nas.search.lane import Lane
from gnv2_nas.search.pace import MIN_SECONDS

MAX_DISTANCE = 32
"""Most batches between two attempts to reach a device that failed."""

Result = TypeVar("Result")


class _Absence:
    """A device that failed: when it is tried again."""

    def __init__(self, distance: int) -> None:
        self.distance = self.left = distance
        self.attempt: Future[None] | None = None


class Lanes:
    """Lanes that measure at the same time as each other where they do not share a machine.

    A device that fails is set aside. At the boundaries of batches it is tried again, each time
    after twice as many batches as before. Its attempts do not keep the others waiting.

    Args:
        lanes: one for each device.
        waiting: told when a device is set aside, and when it is back.
    """

    def __init__(self, lanes: Sequence[Lane], waiting: Waiting = ignore_waiting) -> None:
        self._lanes, self._waiting = tuple(lanes), waiting
        self._absent: dict[str, _Absence] = {}
        self._distances = dict.fromkeys(self.names, 1)
        machines = [lane.machine for lane in self._lanes]
        # While one job is measured, the files of the next are written, unless another lane of the
        # machine has its turn then.
        self._threads = {
            machine: ThreadPoolExecutor(
                2 if machines.count(machine) == 1 else 1, thread_name_prefix="measuring"
            )
            for machine in machines
            if machine
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of all devices."""
        return tuple(lane.name for lane in self._lanes)

    @property
    def active(self) -> tuple[Lane, ...]:
        """The lanes that measure, those of other machines first."""
        present = (lane for lane in self._lanes if lane.name not in self._absent)
        return tuple(sorted(present, key=lambda lane: not lane.machine))

    @property
    def aside(self) -> tuple[str, ...]:
        """Labels of the devices that are set aside."""
        return tuple(self._absent)

    @property
    def overlap(self) -> bool:
        """Whether this machine can work while others measure."""
        return any(lane.machine for lane in self.active)

    def measuring(self, count: int, seconds_per_network: float = MIN_SECONDS) -> float:
        """Seconds to measure `count` networks on every device."""
        machines: dict[str, float] = {}
        for lane in self.active:
            seconds = lane.pace.measuring(count, seconds_per_network)
            machines[lane.machine] = machines.get(lane.machine, 0.0) + seconds
        return max(machines.values(), default=0.0)

    def prepare(self, architectures: Sequence[Architecture]) -> None:
        """Have other machines get the files of networks while this one goes on.

        What fails is left to the measurement, which does it again.
        """
        for lane in self.active:
            if lane.machine:
                self.submit(lane, partial(lane.prepare, architectures))

    def submit(self, lane: Lane, work: Callable[[], Result]) -> Future[Result]:
        """Have a lane work: on this machine at once, on another one in a thread."""
        if lane.machine:
            return self._threads[lane.machine].submit(copy_context().run, work)
        done: Future[Result] = Future()
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)
        return done

    def set_aside(self, name: str, error: DeviceError) -> None:
        """Go on without a device that failed.

        Raises:
            DeviceError: `error`, if no other device is left.
        """
        if name in self._absent:
            return
        others = [lane.name for lane in self.active if lane.name != name]
        if not others:
            raise error
        self._miss(name)
        self._waiting(
            f"device {name} is set aside: {first_line(error)}; the search goes on with "
            f"{' and '.join(others)}, and tries it again later"
        )

    def _miss(self, name: str) -> None:
        """Try a device again after twice as many batches as last time."""
        self._absent[name] = _Absence(self._distances[name])
        self._distances[name] = min(2 * self._distances[name], MAX_DISTANCE)

    def close(self) -> None:
        """End the connections to all devices, and the threads that use them."""
        for lane in self._lanes:
            lane.close()
        for threads in self._threads.values():
            threads.shutdown(cancel_futures=True)

    def succeeded(self, name: str) -> None:
        """Note that a device has measured: when it fails next, it is tried again soon."""
        self._distances[name] = 1

    def try_again(self) -> None:
        """Try devices that were set aside and are due; call it between two batches."""
        for lane in self._lanes:
            absence = self._absent.get(lane.name)
            if absence is None:
                continue
            absence.left -= 1
            if absence.attempt is None and absence.left <= 0:
                absence.attempt = self.submit(lane, lane.reach)
            if absence.attempt is None or not absence.attempt.done():
                continue
            if isinstance(absence.attempt.exception(), MeasurementError):
                self._miss(lane.name)
                continue
            absence.attempt.result()
            del self._absent[lane.name]
            self._waiting(f"device {lane.name} is back; what it lacks is measured now")

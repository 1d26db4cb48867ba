"""Measuring on a device that a farm serves."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import NoneType
from typing import Any, TypeVar

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import DeviceError
from gnv2_nas.formats.foreign.network import ForeignNetwork, TimedNetwork
from gnv2_nas.measurement.plan import MIN_SLOW_ROUNDS, MeasurementOptions, paced_seconds
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.measurement.records.reuse import DeviceIdentity
from gnv2_nas.runner.lock import Waiting, ignore_waiting, waiting_deadline
from gnv2_nas.search.engine import ScoringBackend
from gnv2_nas.search.engine.head import Head
from gnv2_nas.search.engine.scorer_actor import identify_machine
from gnv2_nas.search.farm.directory import ServedDevice, explained, find_actor
from gnv2_nas.search.farm.messages import (
    DeviceAnswer,
    DeviceRequest,
    TimedBatch,
    write_networks,
)
from gnv2_nas.search.lane import SEARCHING
from gnv2_nas.search.pace import Deadline, MeasuringPace
from gnv2_nas.search.study.settings import Settings

SECONDS_BETWEEN_LOOKS = 0.5
MAX_SECONDS_LATE = 120.0
"""How long after the time limit of the search an answer may come."""

Result = TypeVar("Result")


class FarmLane:
    """Measures on a device of a farm, a `Lane`. The process must be connected to Ray.

    Args:
        served: the device.
        study: name of the study, which the farm shows.
        settings: of the study.
        seed: seed of all orders.
        workers: processes that score; they pause while this machine measures itself.
        waiting: told what the device's process says about waiting, after its work.
        reuse: whether records of the host may stand for new measurements.
    """

    def __init__(
        self,
        served: ServedDevice,
        study: str,
        settings: Settings,
        seed: int,
        workers: ScoringBackend | None = None,
        waiting: Waiting = ignore_waiting,
        *,
        reuse: bool = False,
    ) -> None:
        self.name = served.name
        here = not served.reached_by and served.machine == identify_machine()
        self.machine = "" if here else f"{served.host} {served.reached_by}"
        self.pace = MeasuringPace(paced_seconds(served.profile.pace, MIN_SLOW_ROUNDS))
        search = f"{study} on {platform.node()} (pid {os.getpid()})"
        self._usual = DeviceRequest("reach", search, settings, seed, reuse)
        self._workers, self._waiting = workers, waiting
        self._head, self._closed = Head(), threading.Event()

    def identify(self) -> DeviceIdentity:
        return self._ask(DeviceIdentity, work="identify")

    def get_ready(
        self,
        files: Sequence[ForeignNetwork],
        progress: Callable[[float], None],  # noqa: ARG002  the device's process tells it to nobody
        deadline: Deadline,
    ) -> None:
        """See `Lane.get_ready`."""
        self._ask(NoneType, work="get_ready", networks=files, seconds=deadline.left)

    def prepare(self, architectures: Sequence[Architecture]) -> None:
        """See `DeviceLane.prepare`."""
        self._ask(NoneType, work="prepare", networks=write_networks(architectures))

    def measure(
        self,
        networks: Sequence[TimedNetwork],
        options: MeasurementOptions = SEARCHING,
        *,
        deadline: Deadline = Deadline(),  # noqa: B008  frozen
        reusable: int = 0,
    ) -> list[Measurement]:
        """See `DeviceLane.measure`."""
        if not networks:
            return []
        with self._workers.paused() if self._workers and not self.machine else nullcontext():
            batch = self._ask(
                TimedBatch,
                work="measure",
                networks=write_networks(networks),
                options=options,
                reusable=reusable,
                seconds=deadline.left,
            )
        self.pace.readied(*batch.readied)
        return batch.measurements

    def evaluate_metrics(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """See `DeviceLane.evaluate_metrics`."""
        if not self._usual.settings.evaluated:
            return [{} for _ in architectures]
        networks = write_networks(architectures)
        return self._ask(list[dict[str, float]], work="evaluate_metrics", networks=networks)

    def reach(self) -> None:
        self._ask(NoneType, work="reach")

    def close(self) -> None:
        self._closed.set()

    def _ask(self, kind: type[Result], **what: Any) -> Result:
        """Have the device's process do some work; returns its result, which is of type `kind`.

        Raises:
            DeviceError: the device failed, its process has ended, or no farm serves it.
            RunError: the first machine of the cluster is gone.
        """
        self._head.await_answer(self._closed)
        self._check_open()
        patience = waiting_deadline() - time.monotonic()
        request = msgspec.structs.replace(self._usual, patience=patience, **what)
        with explained(self.name):
            asked = find_actor(self.name).ask.remote(msgspec.json.encode(request))
            answer = msgspec.json.decode(self._await(asked), type=DeviceAnswer)
        for sentence in answer.said:
            self._waiting(f"device {self.name}: {sentence}")
        answer.check()
        return msgspec.json.decode(answer.result, type=kind)

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise DeviceError(f"the connection to the farm of {self.name} was closed")

    def _await(self, asked: Any) -> bytes:
        import ray

        late = waiting_deadline() + MAX_SECONDS_LATE
        try:
            while not ray.wait([asked], timeout=SECONDS_BETWEEN_LOOKS)[0]:
                self._check_open()
                self._head.check()
                if time.monotonic() > late:
                    raise DeviceError(f"the farm of {self.name} gave no answer in time")
        except BaseException:
            ray.cancel(asked)  # what it measures already is measured to its end
            raise
        return bytes(ray.get(asked))

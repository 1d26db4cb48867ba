"""A device of a host as a Ray actor: it measures one batch at a time."""

from __future__ import annotations

import asyncio
import math
import os
import platform
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec

from gnv2_nas.devices.device import Device
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.measurement.calibration import ensure_calibrated, read_calibration
from gnv2_nas.measurement.foreign import select_foreign
from gnv2_nas.runner.lock import lock_deadline
from gnv2_nas.search.engine.scorer_actor import die_with_parent, identify_machine
from gnv2_nas.search.farm.directory import ServedDevice
from gnv2_nas.search.farm.messages import (
    DeviceAnswer,
    DeviceRequest,
    TimedBatch,
    read_networks,
    write_failure,
)
from gnv2_nas.search.lane import DeviceLane
from gnv2_nas.search.pace import Deadline

SECONDS_IN_USE = 600.0
"""A search that has asked for nothing for so long is not shown as one that uses the device."""


class MeasuringActor:
    """Measures on one device. Files are written, and records kept, on its host.

    Requests wait here for each other, and not with Ray: a deadline counts the time that its request
    waits, and the state of the device is told at any time.

    Args:
        name: label of the device.
        profile: its `DeviceProfile` as JSON.
        folder: working folder of the farm, which has the records in `profiles/`.
        environment: variables of the farm's shell; None for one that is not set.
    """

    def __init__(
        self, name: str, profile: bytes, folder: str, environment: Mapping[str, str | None]
    ) -> None:
        die_with_parent()
        os.chdir(folder)
        for variable, value in environment.items():
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value
        tempfile.tempdir = None  # it follows TMPDIR, where the device lock is
        self._name, self._profile = name, msgspec.json.decode(profile, type=DeviceProfile)
        self._device: Device | None = None
        # While one batch is measured on another machine, the files of the next are written.
        self._threads = ThreadPoolExecutor(1 if self._profile.transport == "local" else 2)
        self._beginning = threading.Lock()
        self._news: asyncio.Queue[str] = asyncio.Queue()
        self._queue: list[str] = []
        self._used: dict[str, float] = {}
        self._measured, self._failure = 0, ""

    async def ask(self, request: bytes) -> bytes:
        """Do the work of a `DeviceRequest`; returns a `DeviceAnswer`, both as JSON."""
        arrived, asked = time.monotonic(), msgspec.json.decode(request, type=DeviceRequest)
        if asked.search not in self._used:
            self._news.put_nowait(f"device {self._name}: used by {asked.search}")
        self._used[asked.search] = arrived
        self._queue.append(asked.search)
        loop = asyncio.get_running_loop()
        work = self._threads.submit(self._answer, asked, arrived)
        # A request that is cancelled leaves the queue, unless it is worked for already.
        leave = partial(loop.call_soon_threadsafe, self._queue.remove, asked.search)
        work.add_done_callback(lambda _: leave())
        answer = await asyncio.wrap_future(work)
        self._note(asked, answer)
        return msgspec.json.encode(answer)

    async def describe(self) -> bytes:
        """Return the `ServedDevice` as JSON."""
        since = time.monotonic() - SECONDS_IN_USE
        self._used = {each: used for each, used in self._used.items() if used > since}
        return msgspec.json.encode(
            ServedDevice(
                self._name,
                platform.node(),
                identify_machine(),
                self._profile,
                queue=tuple(self._queue),
                searches=tuple(self._used),
                measured=self._measured,
                failure=self._failure,
            )
        )

    async def listen(self) -> str:
        """Wait for the next sentence about the device."""
        return await self._news.get()

    def _note(self, asked: DeviceRequest, answer: DeviceAnswer) -> None:
        failure = answer.text if answer.failure == "device" else ""
        if failure and failure != self._failure:
            self._news.put_nowait(f"device {self._name} failed: {failure}")
        elif self._failure and not failure:
            self._news.put_nowait(f"device {self._name} answers again")
        self._failure = failure
        if asked.work == "measure" and not answer.failure:
            self._measured += len(asked.networks)

    def _answer(self, asked: DeviceRequest, arrived: float) -> DeviceAnswer:
        said: list[str] = []
        try:
            patience, seconds = (
                math.inf if each is None else each for each in (asked.patience, asked.seconds)
            )
            with lock_deadline(arrived + patience):
                result = self._work(asked, Deadline(arrived + seconds), said)
        except Exception as error:
            return write_failure(error, said)
        return DeviceAnswer(msgspec.Raw(msgspec.json.encode(result)), said=tuple(said))

    def _work(self, asked: DeviceRequest, deadline: Deadline, said: list[str]) -> object:
        device, networks = self._open(), read_networks(asked.networks)
        lane = DeviceLane(
            device, asked.settings, asked.seed, waiting=said.append, reuse=asked.reuse
        )
        match asked.work:
            case "measure":
                with self._beginning:  # two searches must not both calibrate it
                    ensure_calibrated(device, waiting=said.append, deadline=deadline.at)
                found = lane.measure(
                    networks, asked.options, deadline=deadline, reusable=asked.reusable
                )
                return TimedBatch(found, lane.pace.latest)
            case "get_ready":
                with self._beginning:
                    lane.get_ready(select_foreign(networks), lambda _: None, deadline)
                return None
            case "identify" | "reach":
                return getattr(lane, asked.work)()
            case _:
                return getattr(lane, asked.work)(networks)

    def _open(self) -> Device:
        """Open the device; again when it could not be reached."""
        with self._beginning:
            if self._device is None:
                device = Device(self._name, self._profile)
                device.calibration = read_calibration(device)
                self._device = device
            return self._device

"""Measuring a batch on other machines while this one proposes and scores the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import dropwhile

import msgspec

from gnv2_nas.errors import DeviceError, RunError
from gnv2_nas.formats.foreign.network import ForeignNetwork
from gnv2_nas.measurement import Measurement
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.search.evaluate import Score
from gnv2_nas.search.lane import Lane
from gnv2_nas.search.lanes import Lanes
from gnv2_nas.search.pace import Deadline
from gnv2_nas.search.study.records import Trial

MAX_AHEAD = 3
"""Unfinished jobs when the next is made, at most. With fewer, fast devices wait for slow ones; with
more, proposals know fewer results."""


class Job(msgspec.Struct, frozen=True):
    """Networks to measure in the same rounds of each device."""

    scored: Sequence[tuple[Trial, Score]] = ()
    """New networks with their scores."""
    missing: Mapping[str, Sequence[Trial]] = {}
    """Device → finished trials that were not measured there, because it had failed."""
    again: Mapping[str, Sequence[Trial]] = {}
    """Device → finished trials whose new measurement is pooled with theirs."""
    beside: Mapping[str, Sequence[Trial]] = {}
    """Device → finished trials whose new measurement replaces theirs. They are compared with the
    new networks, which no record stands for then."""
    foreign: Sequence[ForeignNetwork] = ()
    """Files of other tools. Where there are networks beside, they are measured with these."""

    def on(self, device: str) -> tuple[Sequence[Trial], Sequence[Trial], Sequence[Trial]]:
        """Those of `missing`, `again` and `beside` that a device measures."""
        missing, again, beside = (
            each.get(device, ()) for each in (self.missing, self.again, self.beside)
        )
        return missing, again, beside


class Measured(msgspec.Struct, frozen=True):
    """What one device has measured of a job."""

    latencies: Sequence[Measurement]
    """Of the new networks, then of `missing`, `again` and `beside`; [] if none is asked for."""
    metrics: Sequence[Mapping[str, float]]
    """Of the new networks, then of `missing`."""
    files: Mapping[str, Measurement] = {}
    """Id of a file of another tool → its latency."""


class Finished(msgspec.Struct, frozen=True):
    """A job with what was measured."""

    job: Job
    measured: Mapping[str, Measured]
    """Device → what it has measured. Devices that are set aside are missing."""


class _Started(msgspec.Struct, frozen=True):
    """A job that is being measured."""

    job: Job
    parts: Sequence[tuple[str, Future[Measured]]]

    @property
    def is_finished(self) -> bool:
        return all(part.done() for _, part in self.parts)


class Pipeline:
    """Measures jobs in order, on all devices at once.

    The machine that searches does not disturb another one. So a job on another machine runs in a
    thread while the next ones are made. Each machine goes on with the next job without waiting for
    the others. A job is handed out when all devices have measured it.

    Args:
        lanes: the devices.
        measures: whether latencies are asked for.
    """

    def __init__(self, lanes: Lanes, *, measures: bool) -> None:
        self.lanes, self._measures = lanes, measures
        self._running: deque[_Started] = deque()

    @property
    def searched(self) -> int:
        """Number of searched networks that are being measured."""
        return sum(not trial.baseline for each in self._running for trial, _ in each.job.scored)

    @property
    def is_busy(self) -> bool:
        """Whether a job is being measured."""
        return bool(self._running)

    @property
    def has_room(self) -> bool:
        """Whether `measure` starts another job without waiting for one to finish."""
        left = len(list(dropwhile(lambda each: each.is_finished, self._running)))
        return self._measures and self.lanes.overlap and left < self._ahead

    def measure(
        self, job: Job, options: MeasurementOptions, deadline: Deadline
    ) -> Iterator[Finished]:
        """Measure a job; yield jobs that are finished.

        A device that fails is set aside.

        Raises:
            DeviceError: the last device failed.
            MeasurementError: a device refused a network.
            OutOfTimeError: another process measured for longer than `lock_deadline` allows.
        """
        if not (self._measures and self.lanes.overlap) or job.beside:
            yield from self.drain()
            yield from self._finish(self._start(job, options, deadline))
            return
        self._running.append(self._start(job, options, deadline))
        while len(self._running) > self._ahead or (self._running and self._running[0].is_finished):
            yield from self._finish(self._running.popleft())

    def drain(self) -> Iterator[Finished]:
        """Yield the jobs that are being measured, each when it is finished."""
        while self._running:
            yield from self._finish(self._running.popleft())

    @property
    def _ahead(self) -> int:
        """Number of jobs that may be unfinished when the next is made."""
        machines = {lane.machine for lane in self.lanes.active if lane.machine}
        return min(len(machines), MAX_AHEAD)

    def _start(self, job: Job, options: MeasurementOptions, deadline: Deadline) -> _Started:
        work = [
            (lane, partial(self._measure_on, lane, job, options, deadline))
            for lane in self.lanes.active
        ]
        return _Started(job, [(lane.name, self.lanes.submit(lane, each)) for lane, each in work])

    def _finish(self, started: _Started) -> Iterator[Finished]:
        """Yield what all devices have measured, and raise the first error that is left."""
        measured, errors = dict[str, Measured](), list[RunError]()
        for name, part in started.parts:
            try:
                measured[name] = part.result()
                self.lanes.succeeded(name)
            except DeviceError as error:
                try:
                    self.lanes.set_aside(name, error)
                except DeviceError as last:
                    errors.append(last)
            except RunError as error:
                errors.append(error)
        if measured or not started.parts:
            yield Finished(started.job, measured)
        if errors:
            raise errors[0]

    def _measure_on(
        self, lane: Lane, job: Job, options: MeasurementOptions, deadline: Deadline
    ) -> Measured:
        missing, again, beside = (
            [trial.architecture for trial in trials] for trials in job.on(lane.name)
        )
        new = [*(trial.architecture for trial, _ in job.scored), *missing]
        latencies, files = list[Measurement](), dict[str, Measurement]()
        if self._measures:
            trials = [*new, *again, *beside]
            foreign = job.foreign if beside or not job.beside else ()
            latencies = lane.measure(
                [*trials, *foreign],
                options,
                deadline=deadline,
                # Networks that are compared with others must share their rounds.
                reusable=0 if beside else len(new),
            )
            files = {each.architecture: each for each in latencies[len(trials) :]}
            latencies = latencies[: len(trials)]
        return Measured(latencies, lane.evaluate_metrics(new), files)

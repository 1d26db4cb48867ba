"""Timing graphs in shared rounds, and the ratio of two modules without the time of their frames."""

from __future__ import annotations

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec
import numpy as np

from gnv2_nas.devices.device import Device
from gnv2_nas.devices.host import Bench
from gnv2_nas.errors import DeviceError, MeasurementError
from gnv2_nas.graph.op import Graph
from gnv2_nas.measurement.conditions import ConditionsWatch
from gnv2_nas.measurement.modules.cases import Case
from gnv2_nas.measurement.plan import MeasurementPlan, Timings, collect
from gnv2_nas.measurement.reconnect import use_device
from gnv2_nas.measurement.stability import list_doubts
from gnv2_nas.measurement.statistics import Estimates, estimate
from gnv2_nas.runner.lock import DeviceLock, Waiting
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.graphs import graph_logits, write_graph
from gnv2_nas.runtimes.parity import check_logits
from gnv2_nas.stats.intervals import Z95

PLAN = MeasurementPlan(sessions=3, rounds=16, max_sessions=24)
PRECISION = 0.005
"""Standard error of a graph's time, in logs, that ends a measurement before its time."""
MAX_ERROR = 0.3
"""Largest standard error, relative to a module's time, that says anything of the module."""


class Interval(msgspec.Struct, frozen=True):
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of_log(cls, log: float, error: float) -> Interval:
        """The interval of a positive number whose log has this standard error."""
        low, high = (math.exp(log + side * Z95 * error) for side in (-1, 1))
        return cls(math.exp(log), low, high)


class GraphTimes(msgspec.Struct, frozen=True):
    """Times of graphs that shared rounds."""

    seconds: Mapping[Graph, float]
    errors: Mapping[Graph, float]
    """Standard errors of their logs; independent of each other."""
    refused: Mapping[Graph, str]
    """Why the device did not run a graph."""
    again: Interval | None = None
    """The first graph over itself: two rows of the same file (A/A); None if nothing ran."""
    sessions: int = 0
    rounds: int = 0
    changes: tuple[str, ...] = ()
    """What happened to the device meanwhile that makes its times unsteady, as clauses."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why nothing follows from the times, as clauses; () if something does."""
        return list_doubts(self.changes, self.rounds) if self.seconds else self.changes

    def problem(self, case: Case) -> str:
        """Return why the time of a module is not known; "" if it is."""
        for graph in (case.graph, case.frame):
            if graph in self.refused:
                return self.refused[graph]
        seconds = self.module_seconds(case)
        parts = (self.seconds[each] * self.errors[each] for each in (case.graph, case.frame))
        error = math.hypot(*parts)
        # Each of the `times` modules shares the error of all.
        if seconds <= 0 or error > MAX_ERROR * seconds * case.times:
            return "too short to tell from its frame"
        return ""

    def module_seconds(self, case: Case) -> float:
        """Return the seconds of one module, without its frame."""
        return (self.seconds[case.graph] - self.seconds[case.frame]) / case.times

    def ratio(self, pairs: Sequence[tuple[Case, Case]]) -> Interval:
        """Return the geometric mean over pairs of the first module's time over the second's.

        The error is to first order in those of the graphs; a frame that both have counts once.

        Args:
            pairs: cases without a `problem`.
        """
        log, slopes = 0.0, defaultdict[Graph, float](float)
        for pair in pairs:
            for case, sign in zip(pair, (1, -1), strict=True):
                log += sign * math.log(self.module_seconds(case)) / len(pairs)
                modules = self.module_seconds(case) * case.times
                slopes[case.graph] += sign * self.seconds[case.graph] / modules / len(pairs)
                slopes[case.frame] -= sign * self.seconds[case.frame] / modules / len(pairs)
        error = math.hypot(*(slope * self.errors[graph] for graph, slope in slopes.items()))
        return Interval.of_log(log, error)


def time_graphs(
    device: Device,
    graphs: Sequence[Graph],
    *,
    seed: int,
    deadline: float,
    waiting: Waiting,
    progress: Callable[[float], None] = lambda _: None,
) -> GraphTimes:
    """Time graphs in shared rounds. Each file is checked against torch before.

    Args:
        device: where to measure.
        graphs: distinct graphs.
        seed: seed of all orders.
        deadline: time of `time.monotonic` at which to stop, however wide the intervals are.
        waiting: receives a sentence when another process uses the machine.
        progress: receives the share of that time that has passed.

    Raises:
        MeasurementError: the device failed, or its clock gave impossible times.
    """
    rows = _Rows(device, graphs, waiting)
    rng = random.Random(seed)
    busy = device.clock != "wall"

    def time_all(bench: Bench) -> GraphTimes:
        left = max(deadline - time.monotonic(), 1e-3)
        plan = msgspec.structs.replace(PLAN, max_seconds=left)
        watch = ConditionsWatch(bench, waiting)
        timings = collect(
            bench, len(rows.files), plan, rng, is_precise, progress, watch.before_session
        )
        return rows.times(timings, _estimate(timings, busy=busy), watch.finish().changes)

    def is_precise(timings: Timings) -> bool:
        found = _estimate(timings, busy=busy)
        return bool((np.hypot(found.own, found.own_sessions) <= PRECISION).all())

    try:
        return use_device(device.host, waiting, partial(rows.load, rng), time_all)
    except _NothingRanError:
        return GraphTimes({}, {}, rows.refused)


class _NothingRanError(MeasurementError):
    """The device refused every graph."""


def _estimate(timings: Timings, *, busy: bool) -> Estimates:
    if not ((timings.busy if busy else timings.wall) > 0).all():
        raise MeasurementError("the clock is too coarse here: a module took 0 seconds")
    return estimate(timings, {0: 0.0}, busy=busy)


class _Rows:
    """The files of all graphs that the device runs; that of the first stands twice."""

    def __init__(self, device: Device, graphs: Sequence[Graph], waiting: Waiting) -> None:
        self._device = device
        self.refused: dict[Graph, str] = {}
        self._written: dict[Graph, RuntimeFiles] = {}
        with DeviceLock.shared(waiting):
            for graph in graphs:
                try:
                    self._written[graph] = write_graph(device.runtime, graph)
                except MeasurementError as error:
                    self.refused[graph] = str(error)
            self._logits = {graph: graph_logits(graph) for graph in self._written}
        device.host.store(list(self._written.values()))

    def _arrange(self) -> None:
        self._graphs = [graph for graph in self._written if graph not in self.refused]
        if not self._graphs:
            raise _NothingRanError
        self._graphs.append(self._graphs[0])
        self.files = [self._written[graph] for graph in self._graphs]

    def load(self, rng: random.Random) -> Bench:
        """Load and check all files, without those that the device refuses."""
        while True:
            self._arrange()
            bench, known = self._device.host.open_bench(self.files), len(self.refused)
            for row in rng.sample(range(len(self.files)), len(self.files)):
                graph = self._graphs[row]
                try:
                    self._check(graph, bench, row)
                except DeviceError:
                    raise
                except MeasurementError as error:
                    self.refused[graph] = str(error)
            if len(self.refused) == known:
                return bench

    def _check(self, graph: Graph, bench: Bench, row: int) -> None:
        if (found := bench.load(row)) is not None:
            check_logits("of a module", found, self._logits[graph], self._device.runtime)

    def times(self, timings: Timings, found: Estimates, changes: tuple[str, ...]) -> GraphTimes:
        seconds = np.exp(found.log_ratio) * found.reference_seconds
        errors = np.hypot(found.own, found.own_sessions)
        *graphs, _ = self._graphs
        twice = float(found.log_ratio[-1] - found.log_ratio[0])
        return GraphTimes(
            seconds=dict(zip(graphs, seconds.tolist(), strict=False)),
            errors=dict(zip(graphs, errors.tolist(), strict=False)),
            refused=self.refused,
            again=Interval.of_log(twice, math.hypot(errors[0], errors[-1])),
            sessions=timings.sessions,
            rounds=timings.rounds,
            changes=changes,
        )

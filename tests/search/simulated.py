"""Searches of a made-up machine: a clock that work moves on, latencies with errors, no database.

A search takes some 20 ms here, so that a rule can be checked over many of them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
from optuna.samplers import BaseSampler, RandomSampler

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import RunError
from gnv2_nas.graph import count
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.quality import ESTIMATORS
from gnv2_nas.search.analysis.recommendation import Recommendation, recommend_among
from gnv2_nas.search.confirmation import confirm_and_ablate
from gnv2_nas.search.evaluate import Evaluator
from gnv2_nas.search.lane import SEARCHING
from gnv2_nas.search.lanes import Lanes
from gnv2_nas.search.loop import SearchLoop
from gnv2_nas.search.pace import Deadline, MeasuringPace
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.storage.store import Store
from gnv2_nas.search.study.budgets import parse_budgets, parse_limits
from gnv2_nas.search.study.records import Progress, Trial
from gnv2_nas.search.study.settings import Settings, StudyDevice
from gnv2_nas.search.timetable import Status
from gnv2_nas.space import SearchSpace
from tests.search.study_helpers import latency

REFERENCE_MS = 2.0


@dataclass
class Machine:
    """What work costs, in seconds a network, and how far latencies are off."""

    score: float = 0.2
    ready: float = 0.2
    visit: float = 0.05
    """Of timing a network once: a measurement takes that long whatever its deadline."""
    propose: float = 0.02
    error: float = 0.03
    busy: float = 1.0
    """Times slower than idle, from the first second on."""
    now: float = 1000.0

    def clock(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds * self.busy

    @property
    def one_network(self) -> float:
        """To propose, score, ready and time one for as long as a search wants to."""
        work = self.propose + self.score + self.ready + 2 * self.visit
        return work * self.busy + SEARCHING.seconds_per_network


class SimulatedLane:
    """Latencies of made-up networks."""

    machine = ""

    def __init__(self, clock: Machine, seed: int, name: str = "cpu") -> None:
        self.name, self._clock, self._rng = name, clock, random.Random(seed)
        self.pace = MeasuringPace()
        self._batches = 0

    def prepare(self, architectures: Sequence[Architecture]) -> None:
        """Made-up networks have no files."""

    def measure(
        self,
        architectures: Sequence[Architecture],
        options: MeasurementOptions = SEARCHING,
        *,
        deadline: Deadline = Deadline(),  # noqa: B008
        reusable: int = 0,  # noqa: ARG002
    ) -> list[Measurement]:
        machine, began = self._clock, self._clock.now
        machine.work((machine.ready + machine.visit) * len(architectures))
        self.pace.readied(len(architectures), machine.now - began)
        wanted = options.seconds_per_network * (len(architectures) + 1)
        machine.work(machine.visit * len(architectures))
        machine.now += max(0.0, min(wanted, deadline.left))
        self._batches += 1
        return [self._measured(arch) for arch in architectures]

    def _measured(self, arch: Architecture) -> Measurement:
        ratio = count(arch).macs / 1e6 * math.exp(self._rng.gauss(0, self._clock.error))
        ms, low, high = (ratio * REFERENCE_MS * side for side in (1.0, 0.95, 1.05))
        return msgspec.structs.replace(
            latency(0), architecture=arch.id, device=self.name, ms=ms, ci95=(low, high),
            ratio=ratio, ratio_ci95=(0.95 * ratio, 1.05 * ratio), batch=f"batch{self._batches}",
            sessions=2,
        )  # fmt: skip

    def evaluate_metrics(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        return [{} for _ in architectures]

    def reach(self) -> None:
        """It always answers."""


@dataclass
class _Estimator:
    machine: Machine
    rng: random.Random
    info = ESTIMATORS["params"]

    def score(self, arch: Architecture) -> float:
        self.machine.work(self.machine.score)
        return math.log(count(arch).params) + self.rng.gauss(0, 0.3)


@dataclass
class Memory:
    """A store that keeps nothing on a disk."""

    settings: Settings
    kept: list[Trial] = field(default_factory=list)
    again: dict[str, set[int]] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    in_vain: int = 0
    measured: dict[int, list[Measurement]] = field(default_factory=dict)
    """Every latency that a trial had, in order."""

    def new_trials(self) -> list[Any]:
        return []

    def save_progress(self, progress: Progress) -> None:
        self.progress = progress

    def in_reference(self, latencies: Sequence[Measurement]) -> Sequence[Measurement]:
        return latencies

    def append(self, trial: Trial) -> int:
        number = len(self.kept)
        self.kept.append(msgspec.structs.replace(trial, number=number))
        self.measured[number] = list(trial.measured_on.values())
        return number

    def save_latencies(self, latencies: Sequence[tuple[Trial, Measurement]]) -> None:
        for trial, later in latencies:
            self.measured.setdefault(trial.number, []).append(later)

    def save_metrics(self, trial: Trial, more: Mapping[str, float]) -> None:
        """It keeps no metrics."""

    def save_confirmed(self, device: str, numbers: Sequence[int]) -> None:
        self.again[device] = set(numbers)

    def confirmed(self, device: str) -> frozenset[int]:
        return frozenset(self.again.get(device, ()))


class _Slow(Proposals):
    machine: Machine

    def ask(self, deadline: Deadline = Deadline()) -> Any:  # noqa: B008
        self.machine.work(self.machine.propose)
        return super().ask(deadline)


@dataclass
class Simulated:
    """A search that has ended."""

    loop: SearchLoop
    memory: Memory
    machine: Machine
    left_out: list[str]
    seconds: float
    """From its beginning."""
    said: list[str]
    """About its devices."""
    statuses: list[Status]
    error: RunError | None = None
    """Of the last device."""

    @property
    def members(self) -> list[Trial]:
        return self.loop.front

    @property
    def found(self) -> Recommendation:
        trials = list(self.loop.trials.values())
        return recommend_among(trials, self.memory.settings, _Estimator.info.noise)


def simulated(
    space: SearchSpace,
    seed: int,
    *,
    machine: Machine | None = None,
    seconds: float = math.inf,
    trials: int = 30,
    ablations: int = 4,
    objectives: tuple[Any, ...] = ("quality", "latency"),
    budgets: Sequence[str] = (),
    before: Callable[[Machine], None] = lambda _: None,
    lanes: Sequence[SimulatedLane] = (),
    make: Callable[[int], BaseSampler] = lambda seed: RandomSampler(seed=seed),
    workers: Any = None,
) -> Simulated:
    """A whole search of `space`, its end included.

    Args:
        seconds: the time limit.
        before: what the machine does before the search begins, within the time.
        lanes: the devices; () for one.
        make: makes the sampler.
        workers: score in place of this process.
    """
    machine = machine or Machine()
    lanes = lanes or [SimulatedLane(machine, seed)]
    began = machine.now
    deadline = Deadline(began + seconds, machine.clock)
    before(machine)
    settings = Settings(
        "", "", tuple(StudyDevice(each.name) for each in lanes), "params", objectives,
        parse_budgets(budgets), limits=parse_limits(budgets),
    )  # fmt: skip
    memory = Memory(settings)
    proposals = _Slow(space, settings.budgets, objectives, make(seed), seed)
    proposals.machine = machine
    estimator = _Estimator(machine, random.Random(seed))
    said: list[str] = []
    statuses: list[Status] = []
    evaluator = Evaluator(settings, cast(Any, estimator), Lanes(lanes, said.append), workers)
    loop = SearchLoop(
        space, cast(Store, memory), evaluator, proposals,
        past=(), trials=trials, deadline=deadline, observer=statuses.append,
    )  # fmt: skip
    error, left_out = None, []
    try:
        loop.run()
        left_out = confirm_and_ablate(loop, ablations)
    except RunError as failure:
        error = failure
    seconds = machine.now - began
    return Simulated(loop, memory, machine, left_out, seconds, said, statuses, error)

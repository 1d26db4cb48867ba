"""Files of several forms side by side: the same networks, in the same rounds.

Ratios are to the built-in form of the same network, so no calibration is needed, and what slows the
machine down cancels. The error of a ratio has the parts of both files that `ErrorParts` calls `own`
and `own_sessions`.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import NormalDist

import msgspec
import numpy as np

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.device import Device
from gnv2_nas.devices.host import Bench
from gnv2_nas.devices.panel import position
from gnv2_nas.errors import DeviceError, MeasurementError
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.measurement.conditions import ConditionsWatch
from gnv2_nas.measurement.plan import MeasurementPlan, Timings, collect
from gnv2_nas.measurement.reconnect import use_device
from gnv2_nas.measurement.references import SESSION_SPREAD
from gnv2_nas.measurement.stability import list_doubts
from gnv2_nas.measurement.statistics import Estimates, Prior, estimate
from gnv2_nas.runner.lock import DeviceLock, Waiting, ignore_waiting
from gnv2_nas.runner.timing import RuntimeFiles

PLAN = MeasurementPlan(sessions=2, rounds=10, max_sessions=64)
PRECISION = 0.003
"""Half-width of the 95 % intervals, in logs, that ends a measurement before its time."""


class FormRatio(msgspec.Struct, frozen=True):
    """The time of files of one form over that of the built-in form."""

    form: FileForm
    logs: dict[str, float] = {}
    """Network → log of its ratio; 0 if both forms give the same file."""
    errors: dict[str, float] = {}
    """Network → standard error of that log."""
    refused: str = ""
    """Why the device did not run it; then there are no ratios."""

    @property
    def ratio(self) -> float:
        """Geometric mean of the networks' ratios."""
        return math.exp(self._mean_log)

    def ci95(self, choices: int = 1) -> tuple[float, float]:
        """Return the 95 % interval of `ratio` over these networks.

        Args:
            choices: number of forms from which one is chosen; the interval of the chosen one still
                holds in 95 % of cases (Bonferroni).
        """
        error = math.hypot(*self.errors.values()) / len(self.errors)
        return self._interval(self._mean_log, error, choices)

    def of(self, network: str) -> tuple[float, tuple[float, float]]:
        """Return the ratio of one network and its 95 % interval."""
        log = self.logs[network]
        return math.exp(log), self._interval(log, self.errors[network])

    @property
    def _mean_log(self) -> float:
        return math.fsum(self.logs.values()) / len(self.logs)

    @staticmethod
    def _interval(log: float, error: float, choices: int = 1) -> tuple[float, float]:
        half = NormalDist().inv_cdf(1 - 0.025 / choices) * error
        return math.exp(log - half), math.exp(log + half)


class FormComparison(msgspec.Struct, frozen=True):
    """Forms that shared rounds with the built-in one."""

    ratios: tuple[FormRatio, ...]
    """In the order in which the forms were given."""
    again: FormRatio
    """The built-in form over itself: two rows of the same files (A/A)."""
    sessions: int
    rounds: int
    changes: tuple[str, ...] = ()
    """What happened to the device meanwhile that makes its times unsteady, as clauses."""

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why nothing follows from the ratios, as clauses; () if something does."""
        return list_doubts(self.changes, self.rounds)

    @property
    def ran(self) -> tuple[FormRatio, ...]:
        """Those that the device ran."""
        return tuple(row for row in self.ratios if not row.refused)


def compare_forms(
    device: Device,
    networks: Mapping[str, Architecture],
    forms: Sequence[FileForm],
    *,
    seed: int,
    deadline: float,
    waiting: Waiting = ignore_waiting,
    progress: Callable[[float], None] = lambda _: None,
) -> FormComparison:
    """Measure networks in several forms and in the built-in one.

    Args:
        device: where to measure; the form of its profile plays no role.
        networks: name → network.
        forms: forms to compare with the built-in one.
        seed: seed of all orders.
        deadline: time of `time.monotonic` at which to stop, however wide the intervals are.
        waiting: receives a sentence when another process uses the machine.
        progress: receives the share of that time that has passed.

    Raises:
        MeasurementError: the device refused a file of the built-in form, or failed.
    """
    rows = _Rows(device, networks, forms, waiting)
    rng = random.Random(seed)
    busy = device.clock != "wall"

    def time_all(bench: Bench) -> FormComparison:
        watch = ConditionsWatch(bench, waiting)
        plan = msgspec.structs.replace(PLAN, max_seconds=max(deadline - time.monotonic(), 1e-3))
        timings = collect(
            bench, len(rows.files), plan, rng, is_precise, progress, watch.before_session
        )
        return rows.compare(timings, busy=busy, changes=watch.finish().changes)

    def is_precise(timings: Timings) -> bool:
        intervals = [each.ci95() for each in rows.compare(timings, busy=busy).ran]
        halves = [math.log(high / low) / 2 for low, high in intervals]
        return max(halves, default=0.0) <= PRECISION

    return use_device(device.host, waiting, partial(rows.load, rng), time_all)


class _Rows:
    """The distinct files: several forms of a network may give the same one."""

    def __init__(
        self,
        device: Device,
        networks: Mapping[str, Architecture],
        forms: Sequence[FileForm],
        waiting: Waiting,
    ) -> None:
        self._device, self._networks, self._forms = device, networks, list(forms)
        self._refused: dict[FileForm, str] = {}
        with DeviceLock.shared(waiting):
            self._written = {
                (name, form): device.runtime.with_form(form).write(arch)
                for name, arch in networks.items()
                for form in dict.fromkeys((FileForm(), *forms))
            }
            for arch in networks.values():
                device.expected_logits(arch)
        self._arrange()

    def _arrange(self) -> None:
        """Number the distinct files of the forms that the device runs."""
        self.files: list[RuntimeFiles] = []
        self._owners: list[tuple[str, FileForm]] = []
        self._row_of: dict[tuple[str, FileForm], int] = {}
        for name in self._networks:
            mine: dict[int, RuntimeFiles] = {}
            for form in dict.fromkeys((FileForm(), *self._forms)):
                if form in self._refused:
                    continue
                files = self._written[name, form]
                row = next((row for row, known in mine.items() if known == files), None)
                if row is None:
                    row = self._append(name, form)
                    mine[row] = files
                self._row_of[name, form] = row
        self._again = {name: self._append(name, FileForm()) for name in self._networks}

    def _append(self, name: str, form: FileForm) -> int:
        self.files.append(self._written[name, form])
        self._owners.append((name, form))
        return len(self.files) - 1

    def load(self, rng: random.Random) -> Bench:
        """Load and check all files, without the forms that the device does not run."""
        while True:
            bench, known = self._device.host.open_bench(self.files), len(self._refused)
            for row in rng.sample(range(len(self.files)), len(self.files)):
                name, form = self._owners[row]
                try:
                    self._device.check(self._networks[name], bench.load(row))
                except MeasurementError as error:
                    if isinstance(error, DeviceError) or form == FileForm():
                        raise
                    self._refused[form] = str(error)
            if len(self._refused) == known:
                return bench
            self._arrange()

    def compare(
        self, timings: Timings, *, busy: bool, changes: tuple[str, ...] = ()
    ) -> FormComparison:
        positions = np.array([position(self._networks[name]) for name, _ in self._owners])
        prior = Prior(positions, np.full(len(self.files), SESSION_SPREAD))
        found = estimate(timings, {0: 0.0}, prior, busy=busy)
        return FormComparison(
            ratios=tuple(self._ratio(form, found) for form in self._forms),
            again=self._over_built_in(FileForm(), self._again, found),
            sessions=timings.sessions,
            rounds=timings.rounds,
            changes=changes,
        )

    def _ratio(self, form: FileForm, found: Estimates) -> FormRatio:
        if form in self._refused:
            return FormRatio(form, refused=self._refused[form])
        rows = {name: self._row_of[name, form] for name in self._networks}
        return self._over_built_in(form, rows, found)

    def _over_built_in(
        self, form: FileForm, rows: Mapping[str, int], found: Estimates
    ) -> FormRatio:
        logs, errors = {}, {}
        for name, row in rows.items():
            base = self._row_of[name, FileForm()]
            logs[name] = float(found.log_ratio[row] - found.log_ratio[base])
            parts = [(found.own[each], found.own_sessions[each]) for each in (row, base)]
            errors[name] = 0.0 if row == base else math.hypot(*parts[0], *parts[1])
        return FormRatio(form, logs, errors)

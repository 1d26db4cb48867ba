"""Scoring and measuring: from an architecture to its values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.device import Device
from gnv2_nas.errors import OutOfTimeError
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.measurement.plan import MIN_SLOW_ROUNDS, MeasurementOptions, paced_seconds
from gnv2_nas.measurement.protocol import measure_networks
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.measurement.records.reuse import find_reusable
from gnv2_nas.measurement.records.store import append_measurements
from gnv2_nas.quality.base import QualityEstimator
from gnv2_nas.runner.lock import DeviceLock, Waiting, ignore_waiting
from gnv2_nas.search.engine import OutOfTime, ScoringBackend, ScoringFailure
from gnv2_nas.search.pace import Deadline, Pace
from gnv2_nas.search.study.settings import Settings

SEARCHING = MeasurementOptions(precision=0.03, seconds_per_network=1.0)
"""Precise enough to rank networks during a search."""

Score = float | ScoringFailure | OutOfTime | None


def known_score(score: Score) -> float | None:
    """Return the score as a number; None if there is none."""
    return None if isinstance(score, ScoringFailure | OutOfTime) else score


class Evaluator:
    """Scores and measures networks for one study.

    Args:
        workers: processes that score; None to score in this one.
        waiting: called while another process uses the machine.
        reuse: whether records of earlier measurements may stand for new ones.
    """

    def __init__(
        self,
        settings: Settings,
        estimator: QualityEstimator,
        device: Device,
        seed: int,
        workers: ScoringBackend | None = None,
        waiting: Waiting = ignore_waiting,
        reuse: bool = False,
    ) -> None:
        self.settings = settings
        self.estimator = estimator
        self.device = device
        self.seed = seed
        self.workers = workers
        self.waiting = waiting
        self.reuse = reuse
        self.pace = Pace(paced_seconds(device.profile.pace, MIN_SLOW_ROUNDS))
        self.overlaps = settings.measures and device.host.is_remote
        """Whether this machine can work while networks are measured on another."""
        self.scores_quality = "quality" in settings.objectives

    def scores(
        self,
        architectures: Sequence[Architecture],
        observe: Callable[[int], None] = lambda _: None,
        deadline: Deadline = Deadline(),  # noqa: B008  frozen
        at_least: int = 0,
    ) -> list[Score]:
        """Score networks by the study's estimator.

        Args:
            observe: called with the number of scored networks, after each.
            deadline: end of scoring and measuring. No network is started that would probably not
                be scored in time.
            at_least: number of networks to score in any case.

        Returns:
            For each network its score; None if no objective asks for it or if scores of its family
            are not comparable; `ScoringFailure` if no worker could score it; `OutOfTime` if there
            was no time.
        """
        asked = [
            self.scores_quality and self.estimator.info.compares(arch) for arch in architectures
        ]
        wanted = [arch for arch, ask in zip(architectures, asked, strict=True) if ask]
        if self.settings.measures:
            deadline = deadline.earlier(self.pace.measuring(len(architectures)))
        if self.workers is None:
            found = self._here(wanted, observe, deadline, at_least)
        else:
            found = self._by_workers(self.workers, wanted[:at_least], observe, Deadline())
            found += self._by_workers(self.workers, wanted[at_least:], observe, deadline)
        left = iter(found)
        return [next(left, OutOfTime()) if ask else None for ask in asked]

    def _here(
        self,
        wanted: Sequence[Architecture],
        observe: Callable[[int], None],
        deadline: Deadline,
        at_least: int,
    ) -> list[Score]:
        """Score as many networks as there is time for."""
        found: list[Score] = []
        for arch in wanted:
            forced = len(found) < at_least
            if not forced and (deadline.is_over or not deadline.allows(self.pace.scoring(1))):
                break
            began = deadline.clock()
            try:
                with DeviceLock.shared(self.waiting):
                    found.append(self.estimator.score(arch))
            except OutOfTimeError:
                break
            self.pace.scored(1, deadline.clock() - began)
            observe(len(found))
        return found

    def _by_workers(
        self,
        workers: ScoringBackend,
        wanted: Sequence[Architecture],
        observe: Callable[[int], None],
        deadline: Deadline,
    ) -> list[Score]:
        if not wanted or deadline.is_over:
            return []
        began = deadline.clock()
        seconds = None if math.isinf(deadline.at) else deadline.left
        found: list[Score] = list(workers.scores(wanted, observe, seconds))
        scored = sum(not isinstance(each, OutOfTime) for each in found)
        self.pace.scored(max(scored, 1), deadline.clock() - began)
        return found

    def measure(
        self,
        architectures: Sequence[Architecture],
        options: MeasurementOptions = SEARCHING,
        *,
        deadline: Deadline = Deadline(),  # noqa: B008  frozen
        reusable: int = 0,
    ) -> list[Measurement | None]:
        """Measure latencies in shared rounds; all None if no objective or budget asks for them.

        A record of an earlier run that is as precise stands for measuring a network again. It
        shares no rounds with the others, and the parts of its error say so.

        Args:
            deadline: end of the measurement, however wide the intervals are.
            reusable: number of networks, from the first on, that a record may stand for.

        Raises:
            OutOfTimeError: another process measured for longer than `lock_deadline` allows.
        """
        if not self.settings.measures:
            return [None] * len(architectures)
        with self._quiet():
            ensure_calibrated(self.device, waiting=self.waiting, deadline=deadline.at)
            known = self._recall(architectures[:reusable], options)
            names = [arch.id if n < reusable else "" for n, arch in enumerate(architectures)]
            pairs = zip(architectures, names, strict=True)
            missing = [arch for arch, name in pairs if name not in known]
            measured = iter(self._measure(missing, options, deadline))
        return [known[name] if name in known else next(measured) for name in names]

    def _recall(
        self, architectures: Sequence[Architecture], options: MeasurementOptions
    ) -> dict[str, Measurement]:
        """Return records that are as good as measuring, by network."""
        if not self.reuse or not architectures:
            return {}
        found = find_reusable(architectures, self.device, options.precision, waiting=self.waiting)
        # It may not be as precise as it was to be when it was taken.
        return {
            name: msgspec.structs.replace(each, reused=True, stable=True, reason="")
            for name, each in found.items()
        }

    def _measure(
        self, architectures: Sequence[Architecture], options: MeasurementOptions, deadline: Deadline
    ) -> list[Measurement]:
        if not architectures:
            return []
        began = deadline.clock()
        until_first_round: list[float] = []

        def progress(share: float) -> None:
            nonlocal began
            if not share and self.overlaps:
                began = deadline.clock()  # the batch before has ended only now
            elif share and not until_first_round:
                until_first_round.append(deadline.clock() - began)

        measurements = measure_networks(
            architectures,
            self.device,
            options,
            seed=self.seed,
            waiting=self.waiting,
            progress=progress,
            deadline=deadline.at,
        )
        self.pace.readied(len(architectures), until_first_round[0])
        append_measurements(measurements)
        return measurements

    def _quiet(self) -> AbstractContextManager[None]:
        """Pause the workers while this machine measures itself."""
        if self.workers is None or self.device.host.is_remote:
            return nullcontext()
        return self.workers.paused()

    def evaluate_metrics(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """Evaluate the metrics that the study asks for and that have an `evaluate`.

        Returns:
            For each network, metric → value.

        Raises:
            MeasurementError: the device's runtime cannot run a network.
            OutOfTimeError: another process measured for longer than `lock_deadline` allows.
        """
        found: list[dict[str, float]] = [{} for _ in architectures]
        for metric in self.settings.evaluated:
            if metric.evaluate is not None and architectures:
                values = metric.evaluate(architectures, self.device, self.waiting)
                for own, value in zip(found, values, strict=True):
                    own[metric.name] = value
        return found

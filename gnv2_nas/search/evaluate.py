"""Scoring: from an architecture to its quality."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import OutOfTimeError
from gnv2_nas.quality.base import QualityEstimator
from gnv2_nas.runner.lock import DeviceLock, Waiting, ignore_waiting
from gnv2_nas.search.engine import OutOfTime, ScoringBackend, ScoringFailure
from gnv2_nas.search.lanes import Lanes
from gnv2_nas.search.pace import Deadline, Pace
from gnv2_nas.search.study.settings import Settings

Score = float | ScoringFailure | OutOfTime | None


def known_score(score: Score) -> float | None:
    """Return the score as a number; None if there is none."""
    return None if isinstance(score, ScoringFailure | OutOfTime) else score


def _known(score: Score) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(score)
    return future


class Evaluator:
    """Scores networks for one study, and knows the lanes that measure them.

    Args:
        lanes: the devices.
        workers: processes that score; None to score in this one.
        waiting: called while another process uses the machine.
    """

    def __init__(
        self,
        settings: Settings,
        estimator: QualityEstimator,
        lanes: Lanes,
        workers: ScoringBackend | None = None,
        waiting: Waiting = ignore_waiting,
    ) -> None:
        self.settings, self.estimator, self.lanes = settings, estimator, lanes
        self.workers, self.waiting = workers, waiting
        self.pace = Pace()
        self.scores_quality = "quality" in settings.objectives

    def submit(
        self,
        architectures: Sequence[Architecture],
        observe: Callable[[int], None],
        deadline: Deadline,
        at_least: int,
    ) -> list[Future[Any]]:
        """Have workers score networks, whatever the deadline; without them as `scores` does.

        Returns:
            A future `Score` for each network.
        """
        if self.workers is None:
            return [
                _known(each) for each in self.scores(architectures, observe, deadline, at_least)
            ]
        return [
            self.workers.submit(arch) if self._asks_for(arch) else _known(None)
            for arch in architectures
        ]

    def leave_for_measuring(self, deadline: Deadline, count: int) -> Deadline:
        """The end of scoring, so that there is time to measure `count` networks."""
        return deadline.earlier(self.lanes.measuring(count)) if self.settings.measures else deadline

    def _asks_for(self, arch: Architecture) -> bool:
        return self.scores_quality and self.estimator.info.compares(arch)

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
        asked = [self._asks_for(arch) for arch in architectures]
        wanted = [arch for arch, ask in zip(architectures, asked, strict=True) if ask]
        deadline = self.leave_for_measuring(deadline, len(architectures))
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

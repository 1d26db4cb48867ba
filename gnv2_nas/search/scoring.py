"""Proposals that are being scored, by workers while the search goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from gnv2_nas.search.engine import OutOfTime
from gnv2_nas.search.evaluate import Evaluator, Score
from gnv2_nas.search.pace import Deadline
from gnv2_nas.search.study.records import Trial


class _Asked:
    """A proposal that a score was asked for."""

    def __init__(self, trial: Trial, future: Future[Any], deadline: Deadline) -> None:
        self.trial, self.future, self.deadline = trial, future, deadline
        self.began = self.ended = time.monotonic()
        future.add_done_callback(self._end)

    def _end(self, _: object) -> None:
        self.ended = time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.future.done() or self.deadline.is_over

    def score(self) -> Score:
        """The score; there will be none if it is not known by now."""
        if self.future.cancel() or not self.future.done():
            return OutOfTime()
        score: Score = self.future.result()
        return score


class Scoring:
    """Scores proposals, and hands out those that are scored without waiting for the others.

    Args:
        evaluator: scores in this process or by workers.
        withdraw: called with each proposal that the time was too short for.
        observe: called with the number of networks that are scored and not handed out.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        withdraw: Callable[[Trial], None],
        observe: Callable[[int], None],
    ) -> None:
        self._evaluator, self._withdraw, self._observe = evaluator, withdraw, observe
        self._asked: list[_Asked] = []
        self._latest = 0.0

    @property
    def count(self) -> int:
        """Number of networks that are not handed out."""
        return len(self._asked)

    @property
    def has_room(self) -> bool:
        """Whether a worker may have nothing to do."""
        workers = self._evaluator.workers
        return self.count < (workers.count if workers else 1)

    def submit(self, batch: Sequence[Trial], deadline: Deadline, at_least: int = 0) -> None:
        """Have proposals scored; this process scores them at once.

        Args:
            batch: the proposals.
            deadline: end of scoring and measuring them.
            at_least: number of networks, the first ones, to score in any case.
        """
        networks = [trial.architecture for trial in batch]
        futures = self._evaluator.submit(networks, self._observe, deadline, at_least)
        until = self._evaluator.leave_for_measuring(deadline, len(batch))
        self._asked += [
            _Asked(trial, future, Deadline() if number < at_least else until)
            for number, (trial, future) in enumerate(zip(batch, futures, strict=True))
        ]

    def take(self, wanted: int, *, waits: bool) -> list[tuple[Trial, Score]]:
        """Hand out scored networks, in the order in which they were proposed.

        Args:
            wanted: number of networks at most.
            waits: whether to wait until there are so many, or all that were asked for. Otherwise
                nothing is handed out before there are so many.

        Raises:
            InputError: the scorer raised one.
            RunError: there can be no scorer.
        """
        if waits:
            self._wait(wanted)
        over = [each for each in self._asked if each.is_over][:wanted]
        if not waits and len(over) < wanted:
            return []
        self._asked = [each for each in self._asked if each not in over]
        pairs = [(each, each.score()) for each in over]
        self._learn_pace([each for each, score in pairs if score not in (None, OutOfTime())])
        for each, score in pairs:
            if isinstance(score, OutOfTime):
                self._withdraw(each.trial)
        return [(each.trial, score) for each, score in pairs if score != OutOfTime()]

    def stop(self) -> None:
        """Withdraw the networks that are not handed out."""
        for each in self._asked:
            each.future.cancel()
            self._withdraw(each.trial)
        self._asked = []

    def _wait(self, wanted: int) -> None:
        while waiting := [each for each in self._asked if not each.is_over]:
            if self.count - len(waiting) >= wanted:
                return
            left = min(each.deadline.left for each in waiting)
            futures = [each.future for each in waiting]
            wait(futures, None if left == float("inf") else max(left, 0.0), FIRST_COMPLETED)
            self._observe(sum(each.future.done() for each in self._asked))

    def _learn_pace(self, scored: Sequence[_Asked]) -> None:
        """Record how long workers took for networks, one after the other or several at once."""
        if self._evaluator.workers is None or not scored:
            return
        began = max(self._latest, min(each.began for each in scored))
        self._latest = max(self._latest, *(each.ended for each in scored))
        self._evaluator.pace.scored(len(scored), max(0.0, self._latest - began))

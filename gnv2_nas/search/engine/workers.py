"""Score networks in several processes on this machine. None of them can end the search.

    with Workers(4, partial(make_scorer, settings), timeout=600) as workers:
        scores = workers.scores(architectures)

docs/workers.md says what happens to a network whose worker dies, and when workers are stopped.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import Self

from gnv2_nas.arch import Architecture
from gnv2_nas.runner.lock import Waiting, held_mode, ignore_waiting
from gnv2_nas.search.engine import OutOfTime, Scorer, ScoringFailure
from gnv2_nas.search.engine.supervisor import Supervisor
from gnv2_nas.search.engine.worker_handle import Task

SETUP_TIMEOUT = 1800.0
"""Time limit for making a scorer, in seconds. It may read a hundred thousand images."""


class Workers:
    """Up to `count` processes that score, a `ScoringBackend`.

    A process is started when there is work for it. A network whose worker dies, hangs or runs out
    of memory, or whose scorer raises, is tried once more after the others; if it fails again, its
    answer is a `ScoringFailure`. While anything on this machine measures, the workers are stopped.

    Args:
        count: number of processes, at least 1.
        make_scorer: makes the scorer, once in each process. It is pickled, so it must be a
            function of a module or a `functools.partial` of one.
        timeout: seconds that one network may take, without those in which its worker is stopped
            or makes its scorer.
        setup_timeout: seconds that making the scorer may take.
        waiting: called by another thread if scoring waits for others for over a second.
    """

    def __init__(
        self,
        count: int,
        make_scorer: Callable[[], Scorer],
        timeout: float,
        *,
        setup_timeout: float = SETUP_TIMEOUT,
        waiting: Waiting = ignore_waiting,
    ) -> None:
        if count < 1:
            raise ValueError(f"`count >= 1` must hold, but got {count}")
        self._supervisor = Supervisor(
            count, pickle.dumps(make_scorer), timeout, setup_timeout, waiting
        )
        self._supervisor.start()

    def submit(self, architecture: Architecture) -> Future[float | ScoringFailure]:
        """See `ScoringBackend.submit`."""
        task = Task(architecture.to_json().encode())
        self._supervisor.call(partial(self._supervisor.add, task))
        return task.future

    def scores(
        self,
        architectures: Sequence[Architecture],
        observe: Callable[[int], None] = lambda _: None,
        seconds: float | None = None,
    ) -> list[float | ScoringFailure | OutOfTime]:
        """See `ScoringBackend.scores`.

        Raises:
            RuntimeError: this thread holds the device lock, so the workers might never compute.
        """
        if (mode := held_mode()) is not None:
            raise RuntimeError(
                f"scores() might wait for itself: this thread holds the {mode} lock; release it"
            )
        futures = [self.submit(architecture) for architecture in architectures]
        try:
            with suppress(TimeoutError):
                for count, future in enumerate(as_completed(futures, seconds), start=1):
                    future.result()
                    observe(count)
            return [future.result() if future.done() else OutOfTime() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the workers within the block; they hold no lock then.

        Without it they would give way too, but up to a second later.
        """
        standing = self._supervisor.call(self._supervisor.pause)
        try:
            standing.result()
            yield
        finally:
            self._tell(self._supervisor.resume)

    def close(self) -> None:
        """Kill the workers. Networks without a score never get one."""
        self._tell(self._supervisor.end)
        self._supervisor.join()

    def _tell(self, command: Callable[[], None]) -> None:
        """Run a command, unless everything has ended already."""
        with suppress(Exception):
            self._supervisor.call(command)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

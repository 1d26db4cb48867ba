"""Score or train networks in several processes of Ray. None of them can end the command.

    with closing(Workers(4, partial(make_scorer, settings), timeout=600)) as workers:
        scores = workers.scores(architectures)

docs/cluster.md says what happens to a network whose worker dies, and when workers are stopped.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import Generic, TypeVar

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import RunError, first_line
from gnv2_nas.runner.lock import Waiting, held_mode, ignore_waiting
from gnv2_nas.search.engine import OutOfTime, Scorer, ScoringFailure, Work
from gnv2_nas.search.engine.cluster import connected, share_out
from gnv2_nas.search.engine.head import Head
from gnv2_nas.search.engine.scorer_actor import Answer, make_scoring
from gnv2_nas.search.engine.turns import ClosedError, Turns
from gnv2_nas.search.engine.worker_handle import Task, Worker

Result = TypeVar("Result")

SETUP_SECONDS = 1800.0
"""Time limit for making what does the work, which may read a hundred thousand images. On a cluster
also for the process to start, which may wait for room."""
SECONDS_TO_START = 30.0
"""Time limit for Ray to start a process here."""
SECONDS_BETWEEN_LOOKS = 0.1
"""Interval for checking whether another process waits to measure, and whether a worker is late."""


class Pool(Generic[Result]):
    """Up to `count` processes that score or train networks.

    A process is started when there is work for it. A network whose worker dies, hangs or runs out
    of memory, or whose work raises, is tried once more after the others, see `Task.fail`. While
    anything measures on this machine, its workers are stopped.

    Args:
        count: number of processes, at least 1.
        make_work: makes what does the work, once in each process. Ray pickles it.
        read: reads an answer.
        timeout: seconds that one network may take, without those in which its worker is stopped
            or makes what does the work.
        address: of a Ray cluster, "auto" or ray://HOST:PORT; "" starts Ray on this machine.
        waiting: called by another thread if the work waits for others for over a second.

    Raises:
        InputError: no cluster answers, or one with other versions.
        RunError: Ray cannot be started.
    """

    def __init__(
        self,
        count: int,
        make_work: Callable[[], Work],
        read: Callable[[str], Result],
        timeout: float,
        address: str = "",
        *,
        waiting: Waiting = ignore_waiting,
    ) -> None:
        if count < 1:
            raise ValueError(f"`count >= 1` must hold, but got {count}")
        self.count, self._make_work, self._read = count, make_work, read
        self._timeout, self._address = timeout, address
        self._turns, self._changed = Turns(waiting), threading.Condition()
        self._tasks: deque[Task] = deque()
        self._starting = self._ready = 0
        self._ended: BaseException | None = None
        self._over, self._connected = threading.Event(), Future[None]()
        self._thread = threading.Thread(target=self._run, name="workers", daemon=True)
        self._thread.start()
        try:
            self._connected.result()
        except BaseException:
            self.close()
            raise

    def ask(self, order: str) -> Future[Result | ScoringFailure]:
        """Have a piece of work done while the caller continues. See `ScoringBackend.submit`."""
        task = Task(order.encode(), self._read)
        self._add(task)
        return task.future

    def paused(self) -> AbstractContextManager[None]:
        """Stop the workers of this machine within the block, at once; they hold no lock then."""
        return self._turns.paused()

    def close(self) -> None:
        """Kill the workers. Networks without an answer never get one."""
        self._end(RuntimeError("the workers were closed"))
        self._thread.join()

    def _end(self, why: BaseException) -> None:
        with self._changed:
            self._ended = self._ended or why
            self._changed.notify_all()
        self._over.set()
        self._turns.end()

    def _add(self, task: Task) -> None:
        with self._changed:
            if self._ended is not None:
                raise self._ended
            self._tasks.append(task)
            self._changed.notify_all()

    def _try_again(self, task: Task, reason: str) -> None:
        if task.fail(reason):
            # After all others, when more memory may be free.
            self._add(task)

    def _run(self) -> None:
        """Keep the connection to Ray, and a thread for each worker."""
        threads = [threading.Thread(target=self._serve) for _ in range(self.count)]
        try:
            with connected(self._address, self.count):
                self._head = Head()
                self._connected.set_result(None)
                for thread in threads:
                    thread.start()
                try:
                    self._head.watch(self._over)
                except RunError as error:
                    self._end(error)
                for thread in threads:
                    thread.join()
        except BaseException as error:
            self._end(error)
            if not self._connected.done():
                self._connected.set_exception(error)
        for task in self._tasks:
            task.give_up(self._ended or ClosedError())

    def _serve(self) -> None:
        """Run a worker, and the next one when it has died."""
        worker: Worker | None = None
        task: Task | None = None
        try:
            while True:
                if worker is None:
                    worker = self._start()
                    continue
                task = self._take()
                outcome = self._compute(worker, task.order)
                if isinstance(outcome, str):
                    with self._changed:
                        self._ready -= 1
                    worker.kill()
                    worker = None
                    self._try_again(task, outcome)
                elif outcome.kind == "failed":
                    self._try_again(task, outcome.text)
                else:
                    task.finish(outcome)
        except ClosedError:
            pass
        except ConnectionError as error:
            self._end(RunError(f"the connection to Ray is lost: {first_line(error)}"))
        except BaseException as error:
            # Those who wait for an answer must get the error.
            self._end(error)
        finally:
            if worker is not None:
                worker.kill()
            if task is not None and self._ended is not None:
                task.give_up(self._ended)

    def _await_tasks(self, more_than: Callable[[], int]) -> None:
        self._changed.wait_for(lambda: self._ended or len(self._tasks) > more_than())
        if self._ended is not None:
            raise ClosedError

    def _take(self) -> Task:
        while True:
            with self._changed:
                self._await_tasks(lambda: 0)
                task = self._tasks.popleft()
            if task.begin():
                return task

    def _start(self) -> Worker | None:
        """Start a worker when there is work for one more; None if it failed."""
        with self._changed:
            self._await_tasks(lambda: self._starting)
            self._starting += 1
        worker, outcome = self._launch()
        ready = outcome == Answer("done")
        with self._changed:
            self._starting -= 1
            self._ready += ready
        if ready:
            return worker
        worker.kill()
        if isinstance(outcome, Answer):
            while self._tasks:  # another worker would fail as well
                self._take().finish(outcome)
        elif self._ready:
            raise ClosedError  # the others go on without it
        elif self._tasks:
            self._try_again(self._take(), outcome)
        return None

    def _launch(self) -> tuple[Worker, Answer | str]:
        """Start a process and have it make what does the work."""
        limit = SETUP_SECONDS if self._address else SECONDS_TO_START
        self._head.await_answer(self._over)
        if self._over.is_set():
            raise ClosedError
        with nullcontext() if self._address else self._turns.starting():
            worker = Worker(self._make_work, *share_out(self.count, self._address))
            late = time.monotonic() + limit
            while not worker.started(SECONDS_BETWEEN_LOOKS):
                if self._ended is not None or time.monotonic() >= late:
                    return worker, f"its worker did not start within {limit:g} s"
        return worker, self._compute(worker)

    def _compute(self, worker: Worker, order: bytes = b"") -> Answer | str:
        """Have a piece of work done, or without one that made which does it.

        Returns:
            The answer; or why the worker is lost, as the end of a sentence.
        """
        limit = self._timeout if order else SETUP_SECONDS
        with self._turns.computing(worker) if worker.here else nullcontext():
            asked = worker.ask(order)
            late = self._turns.clock() + limit
            while not worker.answered(asked, SECONDS_BETWEEN_LOOKS if worker.here else 1):
                if worker.here:
                    self._turns.look()
                if self._ended is not None:
                    raise ClosedError
                if self._turns.clock() >= late:
                    what = "gave no score" if order else "was not ready"
                    return f"its worker {what} within {limit:g} s"
        answer = worker.answer(asked)
        if isinstance(answer, Answer) and answer.kind == "memory":
            return "its worker ran out of memory"  # only its end frees the memory
        return answer


class Workers(Pool[float]):
    """Processes that score, a `ScoringBackend`; see `Pool` for the arguments.

    Args:
        make_scorer: makes the scorer, once in each process. Ray pickles it.
    """

    def __init__(
        self,
        count: int,
        make_scorer: Callable[[], Scorer],
        timeout: float,
        address: str = "",
        *,
        waiting: Waiting = ignore_waiting,
    ) -> None:
        make_work = partial(make_scoring, make_scorer)
        super().__init__(count, make_work, float, timeout, address, waiting=waiting)

    def submit(self, architecture: Architecture) -> Future[float | ScoringFailure]:
        """See `ScoringBackend.submit`."""
        return self.ask(architecture.to_json())

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

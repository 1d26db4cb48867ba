"""The thread that keeps workers: hands out networks, replaces what dies, and keeps quiet in time.

All state belongs to this thread; others ask for changes through `Supervisor.call`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Pipe, wait

from gnv2_nas.cores import usable_cores
from gnv2_nas.devices.lock import SECONDS_BETWEEN_ATTEMPTS, DeviceLock, Waiting
from gnv2_nas.search.engine.worker_handle import Task, Worker

SHORTEST_TURN = 1.0
"""Seconds of scoring before others that wait to measure are let in: stopping and going on again
costs milliseconds, but two searches must both get ahead."""
SECONDS_BETWEEN_LOOKS = 0.1
"""For others that wait to measure."""


@dataclass(eq=False)
class Place:
    """A worker and what it is at."""

    worker: Worker
    deadline: float
    """Of the monotonic clock, put off by every second in which the worker is stopped."""
    task: Task | None = None
    ready: bool = False
    """Whether it has made its scorer."""


class Supervisor(threading.Thread):
    """Keeps up to `count` workers while there is work, see `Workers` for the arguments."""

    def __init__(
        self, count: int, scorer: bytes, timeout: float, setup_timeout: float, waiting: Waiting
    ) -> None:
        super().__init__(name="workers", daemon=True)
        self._count, self._scorer = count, scorer
        self._timeout, self._setup_timeout = timeout, setup_timeout
        self._tasks: deque[Task] = deque()
        self._places: list[Place] = []
        self._lock = DeviceLock("shared", waiting)
        self._turn_began = self._stopped_at = time.monotonic()
        self._pauses = 0
        self._commands: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]]
        self._commands = queue.SimpleQueue()
        self._bell_heard, self._bell = Pipe(duplex=False)
        os.set_blocking(self._bell.fileno(), False)
        self._ending = False
        self._why_ended: BaseException | None = None
        self._ends = threading.Lock()

    # What other threads may use.

    def call(self, command: Callable[[], None]) -> Future[None]:
        """Have a command of this class run by this thread.

        Raises:
            RuntimeError: the workers were closed.
            Exception: whatever else ended this thread.
        """
        done: Future[None] = Future()
        with self._ends:
            if self._why_ended is not None:
                raise self._why_ended
            self._commands.put((command, done))
            with contextlib.suppress(BlockingIOError):  # it rings already
                self._bell.send_bytes(b"!")
        return done

    # Commands.

    def add(self, task: Task) -> None:
        """Have a network scored."""
        self._tasks.append(task)

    def pause(self) -> None:
        """Stop all workers; returns when they stand still."""
        self._pauses += 1
        self._keep_quiet()

    def resume(self) -> None:
        """Take a `pause` back."""
        self._pauses -= 1

    def end(self) -> None:
        """Kill all workers and end this thread."""
        self._ending = True

    # The loop.

    def run(self) -> None:
        """Until `end`."""
        why: BaseException = RuntimeError("the workers were closed")
        try:
            while not self._ending:
                self._take_turns()
                if self._lock.acquired:
                    self._hand_out()
                self._listen()
                self._obey()
        except BaseException as error:
            # Whoever waits for a score must hear of it.
            why = error
        finally:
            self._leave(why)

    def _obey(self) -> None:
        while not self._commands.empty():
            command, done = self._commands.get()
            command()
            done.set_result(None)

    def _busy(self) -> list[Place]:
        return [place for place in self._places if place.task is not None]

    def _take_turns(self) -> None:
        """Score when there is something to score and nobody measures."""
        if self._pauses or not (self._tasks or self._busy()):
            self._keep_quiet()
        elif not self._lock.acquired:
            if self._lock.try_acquire():
                self._go_on()
        elif self._turn_is_over():
            self._keep_quiet()

    def _turn_is_over(self) -> bool:
        old = time.monotonic() - self._turn_began >= SHORTEST_TURN
        return old and self._lock.contended()

    def _keep_quiet(self) -> None:
        """Stop those that compute, then let others measure: never the other way round."""
        if self._lock.acquired:
            busy = self._busy()
            for place in busy:
                place.worker.stop()
            for place in busy:
                place.worker.wait_stopped()
            self._stopped_at = time.monotonic()
        self._lock.release()

    def _go_on(self) -> None:
        self._turn_began = time.monotonic()
        for place in self._busy():
            place.deadline += self._turn_began - self._stopped_at
            place.worker.go_on()

    def _hand_out(self) -> None:
        idle = [place for place in self._places if place.task is None]
        while self._tasks and (idle or len(self._places) < self._count):
            task = self._tasks.popleft()
            if not task.begin():
                continue
            place = idle.pop() if idle else self._new_place()
            place.task = task
            if place.ready:
                place.deadline = time.monotonic() + self._timeout
            place.worker.ask(task.architecture)

    def _new_place(self) -> Place:
        worker = Worker(self._scorer, threads=max(1, usable_cores() // self._count))
        place = Place(worker, time.monotonic() + self._setup_timeout)
        self._places.append(place)
        return place

    def _listen(self) -> None:
        """Hear answers, deaths and the bell, and notice who is late."""
        places: dict[object, Place] = {place.worker.connection: place for place in self._places}
        heard = [self._bell_heard, *(place.worker.connection for place in self._places)]
        for ready in wait(heard, self._patience()):
            if ready is self._bell_heard:
                self._bell_heard.recv_bytes()
            else:
                self._hear(places[ready])
        if self._lock.acquired:
            for place in self._busy():
                if time.monotonic() >= place.deadline:
                    self._lose(place, self._lateness(place))

    def _patience(self) -> float | None:
        """Seconds until something must be looked at; None where nothing but an answer or a call
        can change anything: not even this thread disturbs a measurement then."""
        if self._lock.acquired:
            return SECONDS_BETWEEN_LOOKS
        waits = not self._pauses and bool(self._tasks or self._busy())
        return SECONDS_BETWEEN_ATTEMPTS if waits else None

    def _hear(self, place: Place) -> None:
        try:
            answer = place.worker.answer()
        except (EOFError, OSError):
            return self._lose(place, place.worker.fate())
        if answer.kind == "ready":
            place.ready, place.deadline = True, time.monotonic() + self._timeout
            return None
        if answer.kind == "memory":
            # Only its end gives back what it took.
            return self._lose(place, "its worker ran out of memory")
        task, place.task = place.task, None
        if task is not None and answer.kind == "failed":
            self._try_again(task, answer.text)
        elif task is not None:
            task.finish(answer)
        return None if place.ready else self._lose(place, answer.text)

    def _lateness(self, place: Place) -> str:
        if place.ready:
            return f"its worker gave no score within {self._timeout:g} s"
        return f"its worker was not ready within {self._setup_timeout:g} s"

    def _lose(self, place: Place, reason: str) -> None:
        """Do away with a worker; another takes its place when there is work."""
        self._places.remove(place)
        place.worker.kill()
        if place.task is not None:
            self._try_again(place.task, reason)

    def _try_again(self, task: Task, reason: str) -> None:
        if task.fail(reason):
            # After all others: if memory was short, it may not be any more.
            self._tasks.append(task)

    def _leave(self, why: BaseException) -> None:
        for place in self._places:
            place.worker.kill()
        self._lock.release()
        with self._ends:
            self._why_ended = why
        self._bell.close()
        self._bell_heard.close()
        for task in [*self._tasks, *(place.task for place in self._places if place.task)]:
            task.give_up(why)
        while not self._commands.empty():
            _, done = self._commands.get()
            done.set_exception(why)

"""The thread that runs the workers: hands out networks, replaces dead workers, stops them in time.

All state belongs to this thread. Others change it through `Supervisor.call`.
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
from gnv2_nas.runner.lock import SECONDS_BETWEEN_ATTEMPTS, DeviceLock, Waiting
from gnv2_nas.search.engine.worker_handle import Task, Worker

MIN_TURN_SECONDS = 1.0
"""Seconds of scoring before a process that waits to measure gets the lock. Stopping costs only
milliseconds, but two searches must both make progress."""
SECONDS_BETWEEN_LOOKS = 0.1
"""Interval for checking whether another process waits to measure."""


@dataclass(eq=False)
class Place:
    """A worker and its task."""

    worker: Worker
    deadline: float
    """Of the monotonic clock, moved by the time in which the worker is stopped."""
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
        """Run a command of this class in this thread.

        Raises:
            RuntimeError: the workers were closed.
            Exception: another error ended this thread.
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
        """Add a network to score."""
        self._tasks.append(task)

    def pause(self) -> None:
        """Stop all workers; return when they have stopped."""
        self._pauses += 1
        self._keep_quiet()

    def resume(self) -> None:
        """Undo a `pause`."""
        self._pauses -= 1

    def end(self) -> None:
        """Kill all workers and end this thread."""
        self._ending = True

    # The loop.

    def run(self) -> None:
        """Work until `end` is called."""
        why: BaseException = RuntimeError("the workers were closed")
        try:
            while not self._ending:
                self._take_turns()
                if self._lock.acquired:
                    self._hand_out()
                self._listen()
                self._obey()
        except BaseException as error:
            # Those who wait for a score must get the error.
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
        """Score while there is work and nobody measures."""
        if self._pauses or not (self._tasks or self._busy()):
            self._keep_quiet()
        elif not self._lock.acquired:
            if self._lock.try_acquire():
                self._go_on()
        elif self._turn_is_over():
            self._keep_quiet()

    def _turn_is_over(self) -> bool:
        old = time.monotonic() - self._turn_began >= MIN_TURN_SECONDS
        return old and self._lock.contended()

    def _keep_quiet(self) -> None:
        """Stop the workers first, then release the lock for others that measure."""
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
        """Receive answers, deaths and the bell, and find workers that are late."""
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
        """Seconds until the next check. None if only an answer or a call can change anything: then
        this thread does not disturb a measurement."""
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
            # Only its end frees the memory.
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
        """Kill a worker; a new one is started when there is work."""
        self._places.remove(place)
        place.worker.kill()
        if place.task is not None:
            self._try_again(place.task, reason)

    def _try_again(self, task: Task, reason: str) -> None:
        if task.fail(reason):
            # After all others, when more memory may be free.
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

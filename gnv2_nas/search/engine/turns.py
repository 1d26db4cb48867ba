"""When workers compute on this machine: in turns with all who measure on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gnv2_nas.runner.lock import (
    MIN_TURN_SECONDS,
    SECONDS_BETWEEN_ATTEMPTS,
    DeviceLock,
    Waiting,
)
from gnv2_nas.search.engine.worker_handle import Worker

MAX_BIRTH_SECONDS = 5.0
"""How long a measurement waits for a process that is being started. It computes for a second."""


class ClosedError(Exception):
    """The workers are being closed."""


class Turns:
    """Holds the device lock, shared, while workers compute; stops them before it lets go.

    Args:
        waiting: called if scoring waits for others for over a second.
    """

    def __init__(self, waiting: Waiting) -> None:
        self._lock = DeviceLock("shared", waiting)
        self._changed = threading.Condition()
        self._workers: set[Worker] = set()
        self._idle: set[Worker] = set()
        self._births = self._pauses = 0
        self._began = self._stopped = 0.0
        self._stopped_at: float | None = None
        self._over = False

    def clock(self) -> float:
        """Seconds of the monotonic clock, without those in which workers were stopped."""
        with self._changed:
            now = time.monotonic() if self._stopped_at is None else self._stopped_at
            return now - self._stopped

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Wait for a turn, which lasts until the end of the block if that is not far. For a process
        that has no number yet, so that it cannot be stopped."""
        with self._changed:
            self._await_turn()
            self._births += 1
        try:
            yield
        finally:
            with self._changed:
                self._births -= 1
                self._changed.notify_all()
                self._release_if_idle()

    @contextmanager
    def computing(self, worker: Worker) -> Iterator[None]:
        """Wait for a turn; the worker computes within the block."""
        with self._changed:
            self._await_turn()
            self._workers.add(worker)
            self._idle.discard(worker)
        try:
            yield
        finally:
            with self._changed:
                self._workers.remove(worker)
                self._idle.add(worker)
                self._release_if_idle()

    def look(self) -> None:
        """Give way if another process waits to measure. Call it often while a worker computes.

        Raises:
            ClosedError: `end` was called.
        """
        with self._changed:
            old = time.monotonic() - self._began >= MIN_TURN_SECONDS
            if self._lock.acquired and old and self._lock.contended():
                self._stop()
            self._await_turn()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No worker computes within the block, and no lock is held for any."""
        with self._changed:
            self._pauses += 1
            self._stop()
        try:
            yield
        finally:
            with self._changed:
                self._pauses -= 1
                self._changed.notify_all()

    def end(self) -> None:
        """Let all who wait for a turn raise `ClosedError`."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _await_turn(self) -> None:
        begins = not self._lock.acquired
        while not self._over and (self._pauses or not self._lock.try_acquire()):
            self._changed.wait(None if self._pauses else SECONDS_BETWEEN_ATTEMPTS)
        if self._over:
            raise ClosedError
        if begins:
            self._began = time.monotonic()
        if self._stopped_at is not None:
            self._stopped += time.monotonic() - self._stopped_at
            self._stopped_at = None
            for worker in self._workers | self._idle:
                worker.go_on()

    def _stop(self) -> None:
        self._changed.wait_for(lambda: self._births == 0, MAX_BIRTH_SECONDS)
        if self._stopped_at is None:
            # Ray gives idle ones something to do, half a percent of a core each.
            for worker in self._workers | self._idle:
                worker.stop()
            self._stopped_at = time.monotonic()
        self._lock.release()

    def _release_if_idle(self) -> None:
        if not self._workers and not self._births:
            self._lock.release()

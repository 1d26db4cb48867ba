"""The lock on the processors of this machine: one process measures, or any number score.

Other work on the machine distorts a latency. A measurement therefore takes the lock exclusively,
and scoring shares it, among all processes of one user: searches, their workers, `gnv2-nas profile`.

The lock is `flock` on a file, which the kernel releases when its holder dies. A second file is the
gate: a process holds the gate while it waits for the lock, so a stream of scoring processes cannot
overtake one that wants to measure. See docs/cluster.md.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Literal

from gnv2_nas.errors import OutOfTimeError, OutputError

LockMode = Literal["exclusive", "shared"]
Waiting = Callable[[str], None]
"""Receives one sentence about the holder of the lock, once, after a wait of one second."""

SCORING = "is scoring networks"
SECONDS_BEFORE_TELLING = 1.0
SECONDS_BETWEEN_ATTEMPTS = 0.05
"""The lock is polled: a thread that blocked in the kernel could neither report nor do other work.
A measurement takes a hundred times as long."""

MIN_TURN_SECONDS = 1.0
"""Seconds of scoring before a process that waits to measure gets the lock: two searches must both
make progress."""

_held: ContextVar[DeviceLock | None] = ContextVar("held", default=None)
"""What this thread holds, so that it does not wait for itself."""
_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)
"""Time of `time.monotonic` at which this thread stops waiting."""


def ignore_waiting(_: str) -> None:
    """Report nothing."""


@contextmanager
def lock_deadline(deadline: float) -> Iterator[None]:
    """Within the block, requests for the lock fail with `OutOfTimeError` after `deadline`.

    Args:
        deadline: on the clock `time.monotonic`.
    """
    token = _deadline.set(min(deadline, _deadline.get()))
    try:
        yield
    finally:
        _deadline.reset(token)


def waiting_deadline() -> float:
    """Time of `time.monotonic` at which this thread stops waiting, see `lock_deadline`."""
    return _deadline.get()


def held_mode() -> LockMode | None:
    """Mode in which the calling thread holds the lock; None when it does not."""
    lock = _held.get()
    return None if lock is None else lock.mode


def give_way() -> None:
    """Let a process that waits to measure go first, if this thread shares the lock for a second.

    Call it often within a long `shared` block. It returns when the lock is held again.
    """
    lock = _held.get()
    if lock is None or lock.mode == "exclusive":
        return
    if time.monotonic() - lock.acquired_at >= MIN_TURN_SECONDS and lock.contended():
        lock.release()
        lock.acquire()


class DeviceLock:
    """A request for the lock on this machine.

    Use the context managers `exclusive` and `shared` to wait for the lock. An instance polls it.

    Args:
        mode: "exclusive" to measure, "shared" to score.
        waiting: see `Waiting`.
    """

    def __init__(self, mode: LockMode, waiting: Waiting = ignore_waiting) -> None:
        self.acquired = False
        self.mode: LockMode = mode
        self._waiting = waiting
        self._files: tuple[int, int] | None = None
        self._holds_gate = False
        self._since = 0.0
        self._told = False
        self.acquired_at = 0.0
        """Of `time.monotonic`."""

    @classmethod
    @contextmanager
    def exclusive(cls, waiting: Waiting = ignore_waiting) -> Iterator[None]:
        """No other process measures or scores within the block.

        Hold the lock for one batch, so that two searches alternate. A nested `exclusive` of the
        same thread does nothing.

        Raises:
            OutputError: the folder of the lock cannot be used.
            OutOfTimeError: see `lock_deadline`.
            RuntimeError: this thread holds the lock in shared mode and would wait for itself.
        """
        if held_mode() == "shared":
            raise RuntimeError(
                "DeviceLock.exclusive() within shared() would wait for itself: leave shared() first"
            )
        with cls("exclusive", waiting)._hold():
            yield

    @classmethod
    @contextmanager
    def shared(cls, waiting: Waiting = ignore_waiting) -> Iterator[None]:
        """No other process measures within the block; others may score.

        Does nothing in a thread that already holds the lock.

        Raises:
            OutputError: the folder of the lock cannot be used.
            OutOfTimeError: see `lock_deadline`.
        """
        with cls("shared", waiting)._hold():
            yield

    def try_acquire(self) -> bool:
        """Take the lock if it is free; otherwise keep or take the gate. Returns `acquired`.

        Raises:
            OutputError: the folder of the lock cannot be used.
        """
        if self.acquired:
            return True
        if self._files is None:
            self._files = _open("gate"), _open("machine")
            self._since, self._told = time.monotonic(), False
        gate, machine = self._files
        self._holds_gate = self._holds_gate or _try_flock(gate, fcntl.LOCK_EX)
        exclusive = self.mode == "exclusive"
        operation = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        if self._holds_gate and _try_flock(machine, operation):
            _write_pid(machine, os.getpid() if exclusive else None)
            fcntl.flock(gate, fcntl.LOCK_UN)
            self.acquired, self._holds_gate = True, False
            self.acquired_at = time.monotonic()
        elif not self._told and time.monotonic() - self._since >= SECONDS_BEFORE_TELLING:
            self._told = True
            self._waiting(_describe_holder(machine))
        return self.acquired

    def acquire(self) -> None:
        """Wait for the lock.

        Raises:
            OutputError: see `try_acquire`.
            OutOfTimeError: see `lock_deadline`.
        """
        while not self.try_acquire():
            if time.monotonic() >= _deadline.get():
                raise OutOfTimeError(
                    "the time limit was reached while another gnv2-nas used this machine; "
                    "try again, or give more with --timeout"
                )
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)

    def contended(self) -> bool:
        """Whether another process waits at the gate for this one to release the lock."""
        if self._files is None or not self.acquired:
            return False
        gate, _ = self._files
        if not _try_flock(gate, fcntl.LOCK_SH):
            return True
        fcntl.flock(gate, fcntl.LOCK_UN)
        return False

    def release(self) -> None:
        """Release the lock or the place at the gate, whichever is held."""
        if self._files is None:
            return
        gate, machine = self._files
        if self.acquired and self.mode == "exclusive":
            _write_pid(machine, None)
        self._files, self.acquired, self._holds_gate = None, False, False
        for file in (machine, gate):
            # Closing alone is not enough: a forked child may still have the file open.
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)

    @contextmanager
    def _hold(self) -> Iterator[None]:
        if _held.get() is not None:
            yield
            return
        try:
            self.acquire()
            token = _held.set(self)
            try:
                yield
            finally:
                _held.reset(token)
        finally:
            self.release()


def lock_folder() -> Path:
    """The folder of the lock: in the temporary folder, accessible to this user alone.

    `XDG_RUNTIME_DIR` would not do: it is missing under cron and sudo, and is removed at the last
    logout while a search in the background goes on.

    Raises:
        OutputError: the folder cannot be made, or belongs to another user.
    """
    try:
        temporary = tempfile.gettempdir()
    except OSError:
        raise OutputError(
            "no temporary folder can be written to; set TMPDIR to a folder you may write to"
        ) from None
    folder = Path(temporary) / f"gnv2-nas-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot make {str(folder)!r}: {reason}; set TMPDIR") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise OutputError(f"{str(folder)!r} must be a folder of this user's own; set TMPDIR")
    return folder


def _open(name: str) -> int:
    path = lock_folder() / name
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot open {str(path)!r}: {reason}; set TMPDIR") from None


def _try_flock(file: int, operation: int) -> bool:
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _describe_holder(machine: int) -> str:
    # A scoring process erases the file, so the number of a dead process cannot mislead.
    pid = os.pread(machine, 20, 0).decode("ascii", "replace")
    doing = f"is measuring (pid {pid})" if pid else SCORING
    return f"another gnv2-nas on this machine {doing}; waiting"


def may_be_own(sentence: str) -> bool:
    """Whether the holder that a sentence tells of may be another thread of this process."""
    return SCORING in sentence or f"(pid {os.getpid()})" in sentence


def _write_pid(file: int, pid: int | None) -> None:
    """Record who measures; a full disk must not prevent a measurement."""
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        if pid is not None:
            os.pwrite(file, str(pid).encode(), 0)

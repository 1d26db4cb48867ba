"""Who may use the processors of this machine: one that measures, or any number that score.

A latency is worth nothing while others compute beside it. `measuring` is therefore exclusive and
`scoring` shared, between all processes of a user on one machine: searches, their workers,
`gnv2-nas profile`. Remote devices need neither.

The lock is `flock` on a file, which the kernel gives back when its holder dies, however it dies.
A second file is the gate: whoever wants the lock holds the gate until the lock is free, so one
that wants to measure is not passed by a stream of others that score. See docs/workers.md.
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

Use = Literal["measuring", "scoring"]
Waiting = Callable[[str], None]
"""Is told once, in a sentence, what is waited for when that takes longer than a second."""

SECONDS_BEFORE_TELLING = 1.0
SECONDS_BETWEEN_ATTEMPTS = 0.05
"""Asked for again and again and not waited for in the kernel: so a thread can do something else
meanwhile, and someone can be told. A measurement takes a hundred times as long."""

_held: ContextVar[Use | None] = ContextVar("held", default=None)
"""What this thread holds, so that it does not wait for itself."""
_until: ContextVar[float] = ContextVar("until", default=math.inf)
"""When this thread gives up waiting, of `time.monotonic`."""


def silent(_: str) -> None:
    """Tells nobody."""


@contextmanager
def measuring(waiting: Waiting = silent) -> Iterator[None]:
    """Nobody else measures or scores on this machine within the block.

    Hold it for one batch, so that two searches alternate. Within another `measuring` of the same
    thread it does nothing.

    Raises:
        OutputError: the folder of the lock cannot be used.
        RuntimeError: within `scoring` of the same thread, where it would wait for itself.
    """
    if _held.get() == "scoring":
        raise RuntimeError("measuring() within scoring() would wait for itself: end scoring first")
    with _holding("measuring", waiting):
        yield


@contextmanager
def scoring(waiting: Waiting = silent) -> Iterator[None]:
    """Nobody measures on this machine within the block; others may score.

    Within `measuring` or `scoring` of the same thread it does nothing.

    Raises:
        OutputError: the folder of the lock cannot be used.
    """
    with _holding("scoring", waiting):
        yield


@contextmanager
def waiting_until(deadline: float) -> Iterator[None]:
    """Within the block nobody is waited for after `deadline`, of `time.monotonic`.

    `measuring` and `scoring` then raise an `OutOfTimeError`.
    """
    token = _until.set(min(deadline, _until.get()))
    try:
        yield
    finally:
        _until.reset(token)


def held() -> Use | None:
    """What the calling thread may do now because it is in one of these blocks."""
    return _held.get()


@contextmanager
def _holding(use: Use, waiting: Waiting) -> Iterator[None]:
    if _held.get() is not None:
        yield
        return
    turn = Turn(use, waiting)
    try:
        while not turn.try_take():
            if time.monotonic() >= _until.get():
                raise OutOfTimeError(
                    "the time limit was reached while another gnv2-nas used this machine; "
                    "try again, or give more with --timeout"
                )
            time.sleep(SECONDS_BETWEEN_ATTEMPTS)
        token = _held.set(use)
        try:
            yield
        finally:
            _held.reset(token)
    finally:
        turn.give_back()


class Turn:
    """A wish to measure or to score, asked for until it is granted.

    Args:
        use: what for.
        waiting: see `Waiting`.
    """

    def __init__(self, use: Use, waiting: Waiting = silent) -> None:
        self.held = False
        self._alone = use == "measuring"
        self._waiting = waiting
        self._files: tuple[int, int] | None = None
        self._at_the_gate = False
        self._since = 0.0
        self._told = False

    def try_take(self) -> bool:
        """Take the turn if it is free; otherwise keep or seek the place at the gate.

        Raises:
            OutputError: the folder of the lock cannot be used.
        """
        if self.held:
            return True
        if self._files is None:
            self._files = _opened("gate"), _opened("machine")
            self._since, self._told = time.monotonic(), False
        gate, machine = self._files
        self._at_the_gate = self._at_the_gate or _try_lock(gate, fcntl.LOCK_EX)
        alone_or_not = fcntl.LOCK_EX if self._alone else fcntl.LOCK_SH
        if self._at_the_gate and _try_lock(machine, alone_or_not):
            _write_pid(machine, os.getpid() if self._alone else None)
            fcntl.flock(gate, fcntl.LOCK_UN)
            self.held, self._at_the_gate = True, False
        elif not self._told and time.monotonic() - self._since >= SECONDS_BEFORE_TELLING:
            self._told = True
            self._waiting(self._obstacle(machine))
        return self.held

    def wanted(self) -> bool:
        """Whether another is at the gate, who waits for this turn to end."""
        if self._files is None or not self.held:
            return False
        gate, _ = self._files
        if not _try_lock(gate, fcntl.LOCK_SH):
            return True
        fcntl.flock(gate, fcntl.LOCK_UN)
        return False

    def give_back(self) -> None:
        """End the turn, or stop waiting for it; without either, nothing."""
        if self._files is None:
            return
        gate, machine = self._files
        if self.held and self._alone:
            _write_pid(machine, None)
        self._files, self.held, self._at_the_gate = None, False, False
        for file in (machine, gate):
            # Said in words: a forked child of this process may still have the file open.
            fcntl.flock(file, fcntl.LOCK_UN)
            os.close(file)

    def _obstacle(self, machine: int) -> str:
        # Who scores has wiped it, so a number left behind by a dead process misleads nobody.
        pid = os.pread(machine, 20, 0).decode("ascii", "replace")
        doing = f"is measuring (pid {pid})" if pid else "is scoring networks"
        return f"another gnv2-nas on this machine {doing}; waiting"


def lock_folder() -> Path:
    """The folder of the lock, in the temporary folder, for this user alone.

    Not `XDG_RUNTIME_DIR`: it is there in one terminal and not in another (cron, sudo), and goes
    with the last login while a search in the background goes on.

    Raises:
        OutputError: it cannot be made, or belongs to someone else.
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


def _opened(name: str) -> int:
    path = lock_folder() / name
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot open {str(path)!r}: {reason}; set TMPDIR") from None


def _try_lock(file: int, operation: int) -> bool:
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_pid(file: int, pid: int | None) -> None:
    """Say who measures; a full disk must not keep anyone from measuring."""
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        if pid is not None:
            os.pwrite(file, str(pid).encode(), 0)

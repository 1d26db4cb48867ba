"""One worker as its parent sees it: a process that is started, asked, stopped and killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from multiprocessing.connection import Pipe

import msgspec

from gnv2_nas.errors import InputError, RunError
from gnv2_nas.search.engine.backend import ScoringFailure
from gnv2_nas.search.engine.worker_process import Answer

ATTEMPTS = 2


@dataclass
class Task:
    """A network to be scored."""

    architecture: bytes
    """JSON."""
    future: Future[float | ScoringFailure] = field(default_factory=Future)
    failures: list[str] = field(default_factory=list)
    """What went wrong so far, as the ends of sentences."""

    def begin(self) -> bool:
        """To be called before each attempt; False where nobody waits for the score any more."""
        return bool(self.failures) or self.future.set_running_or_notify_cancel()

    def finish(self, answer: Answer) -> None:
        """Hand on a score, or an error that another attempt would meet again."""
        if answer.kind == "score":
            self.future.set_result(float(answer.text))
        elif answer.kind == "input":
            self.future.set_exception(InputError(answer.text))
        else:
            self.future.set_exception(RunError(f"a worker cannot score: {answer.text}"))

    def fail(self, reason: str) -> bool:
        """Note what went wrong; True where another attempt is due, else this was the last."""
        self.failures.append(reason)
        if len(self.failures) < ATTEMPTS:
            return True
        self.future.set_result(ScoringFailure(_sentence(self.failures)))
        return False

    def give_up(self, why: BaseException) -> None:
        """Nobody will score it."""
        with contextlib.suppress(InvalidStateError):  # nor does anyone wait for it
            self.future.set_exception(why)


def _sentence(failures: list[str]) -> str:
    first, *others = failures
    if all(other == first for other in others):
        return f"tried {len(failures)} times, each time {first}"
    return f"tried {len(failures)} times: " + ", then ".join(failures)


SECONDS_TO_EXIT = 1.0
"""Between closing its connection and being gone."""

# Not `multiprocessing`, which would import the program's main module once more and leaves no say
# in environment and process group.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from gnv2_nas.search.engine.worker_process import main; main(int(sys.argv[1]))"
)


class Worker:
    """A process that makes a scorer when it starts.

    It is in a process group of its own, so that Ctrl-C reaches the parent alone, and what it
    prints goes to standard error.

    Args:
        scorer: the pickled maker of the scorer.
        threads: of torch, unless `OMP_NUM_THREADS` says how many.

    Raises:
        RunError: the system starts no further process.
    """

    def __init__(self, scorer: bytes, threads: int) -> None:
        self.connection, theirs = Pipe()
        with theirs:
            try:
                self._process = _started(theirs.fileno(), threads)
            except OSError as error:
                self.connection.close()
                reason = error.strerror or error
                raise RunError(f"cannot start a worker: {reason}; try fewer") from None
        self._send(scorer)

    def ask(self, architecture: bytes) -> None:
        """Have a network scored; at most one at a time."""
        self._send(architecture)

    def answer(self) -> Answer:
        """What it says; call it when the connection has something.

        Raises:
            EOFError, OSError: it is no more.
        """
        return msgspec.json.decode(self.connection.recv_bytes(), type=Answer)

    def stop(self) -> None:
        """Let it compute nothing; `wait_stopped` waits until that is so."""
        self._process.send_signal(signal.SIGSTOP)

    def wait_stopped(self) -> None:
        """Return when it stands still, or is dead."""
        if not hasattr(os, "waitid"):  # macOS before Python 3.13: it will in a moment
            return
        with contextlib.suppress(ChildProcessError):
            # Its exit status stays where `Popen` will look for it.
            how = os.WSTOPPED | os.WEXITED | os.WNOWAIT
            os.waitid(os.P_PID, self._process.pid, how)

    def go_on(self) -> None:
        """Let it compute again."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it, even one that is stopped or hangs."""
        self._process.kill()
        self._process.wait()
        self.connection.close()

    def fate(self) -> str:
        """How it ended, as the end of a sentence."""
        try:
            code = self._process.wait(SECONDS_TO_EXIT)
        except subprocess.TimeoutExpired:
            return "its worker closed the connection"
        if code >= 0:
            return f"its worker ended itself with exit code {code}"
        if -code == signal.SIGKILL:
            return "its worker was killed (SIGKILL), as the system does when memory runs out"
        return f"its worker crashed ({signal.strsignal(-code)})"

    def _send(self, content: bytes) -> None:
        # One that is dead is noticed when its connection ends.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(content)


def _started(descriptor: int, threads: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  this very interpreter
        [sys.executable, "-c", _PROGRAM, str(descriptor), *sys.path],
        # Read when torch is loaded.
        env={"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=2,
        pass_fds=(descriptor,),
        process_group=0,
    )

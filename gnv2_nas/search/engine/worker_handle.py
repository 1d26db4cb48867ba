"""One worker, seen from its parent: start, ask, stop and kill the process."""

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
from gnv2_nas.search.engine import ScoringFailure
from gnv2_nas.search.engine.worker_process import Answer

MAX_ATTEMPTS = 2


@dataclass
class Task:
    """A network to be scored."""

    architecture: bytes
    """JSON."""
    future: Future[float | ScoringFailure] = field(default_factory=Future)
    failures: list[str] = field(default_factory=list)
    """Reasons of the failed attempts, each the end of a sentence."""

    def begin(self) -> bool:
        """Begin an attempt; False if nobody waits for the score any more."""
        return bool(self.failures) or self.future.set_running_or_notify_cancel()

    def finish(self, answer: Answer) -> None:
        """Set the score, or an error that another attempt would repeat."""
        if answer.kind == "score":
            self.future.set_result(float(answer.text))
        elif answer.kind == "input":
            self.future.set_exception(InputError(answer.text))
        else:
            self.future.set_exception(RunError(f"a worker cannot score: {answer.text}"))

    def fail(self, reason: str) -> bool:
        """Note a failure; True if another attempt follows."""
        self.failures.append(reason)
        if len(self.failures) < MAX_ATTEMPTS:
            return True
        self.future.set_result(ScoringFailure(_sentence(self.failures)))
        return False

    def give_up(self, why: BaseException) -> None:
        """Set an error, because the network will not be scored."""
        with contextlib.suppress(InvalidStateError):  # it was cancelled
            self.future.set_exception(why)


def _sentence(failures: list[str]) -> str:
    first, *others = failures
    if all(other == first for other in others):
        return f"tried {len(failures)} times, each time {first}"
    return f"tried {len(failures)} times: " + ", then ".join(failures)


SECONDS_TO_EXIT = 1.0
"""From closing the connection to the end of the process."""

# `multiprocessing` would import the program's main module again, and does not let us choose
# environment and process group.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from gnv2_nas.search.engine.worker_process import main; main(int(sys.argv[1]))"
)


class Worker:
    """A process that makes a scorer when it starts.

    It has its own process group, so Ctrl-C reaches only the parent. It prints to standard error.

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
                self._process = _start_process(theirs.fileno(), threads)
            except OSError as error:
                self.connection.close()
                reason = error.strerror or error
                raise RunError(f"cannot start a worker: {reason}; try fewer") from None
        self._send(scorer)

    def ask(self, architecture: bytes) -> None:
        """Ask for the score of a network, one at a time."""
        self._send(architecture)

    def answer(self) -> Answer:
        """The next answer; call it when the connection has one.

        Raises:
            EOFError, OSError: the process has ended.
        """
        return msgspec.json.decode(self.connection.recv_bytes(), type=Answer)

    def stop(self) -> None:
        """Ask the process to stop; `wait_stopped` waits until it has."""
        self._process.send_signal(signal.SIGSTOP)

    def wait_stopped(self) -> None:
        """Wait until the process has stopped or ended."""
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return
        with contextlib.suppress(ChildProcessError):
            # WNOWAIT leaves the exit status for `Popen`.
            how = os.WSTOPPED | os.WEXITED | os.WNOWAIT
            os.waitid(os.P_PID, self._process.pid, how)

    def go_on(self) -> None:
        """Let the process continue."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process, even if it is stopped or hangs."""
        self._process.kill()
        self._process.wait()
        self.connection.close()

    def fate(self) -> str:
        """How the process ended, as the end of a sentence."""
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
        # A dead process is noticed when its connection ends.
        with contextlib.suppress(OSError):
            self.connection.send_bytes(content)


def _start_process(descriptor: int, threads: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  this very interpreter
        [sys.executable, "-c", _PROGRAM, str(descriptor), *sys.path],
        # Read when torch is loaded.
        env={"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=2,
        pass_fds=(descriptor,),
        process_group=0,
    )

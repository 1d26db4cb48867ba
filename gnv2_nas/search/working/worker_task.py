"""A network that workers shall score, and what came of it."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field

import msgspec

from gnv2_nas.errors import InputError, RunError
from gnv2_nas.search.working.worker_process import Answer

ATTEMPTS = 2


class WorkerError(msgspec.Struct, frozen=True):
    """Why a network has no score."""

    reason: str


class OutOfTime(msgspec.Struct, frozen=True):
    """What stands for the score of a network when the time was up before it."""


@dataclass
class Task:
    """A network to be scored."""

    architecture: bytes
    """JSON."""
    future: Future[float | WorkerError] = field(default_factory=Future)
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
        self.future.set_result(WorkerError(_sentence(self.failures)))
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

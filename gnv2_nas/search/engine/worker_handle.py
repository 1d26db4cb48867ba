"""One worker, seen from the command: start, ask, stop and kill its process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gnv2_nas.errors import InputError, RunError
from gnv2_nas.search.engine import ScoringFailure, Work
from gnv2_nas.search.engine.scorer_actor import (
    Answer,
    ScorerActor,
    identify_machine,
    in_one_line,
)

MAX_ATTEMPTS = 2


@dataclass
class Task:
    """A network to be scored or trained."""

    order: bytes
    """What the worker is given."""
    read: Callable[[str], Any]
    """Reads the answer."""
    future: Future[Any] = field(default_factory=Future)
    failures: list[str] = field(default_factory=list)
    """Reasons of the failed attempts, each the end of a sentence."""

    def begin(self) -> bool:
        """Begin an attempt; False if nobody waits for the answer any more."""
        return bool(self.failures) or self.future.set_running_or_notify_cancel()

    def finish(self, answer: Answer) -> None:
        """Set the answer, or an error that another attempt would repeat."""
        if answer.kind == "done":
            self.future.set_result(self.read(answer.text))
        elif answer.kind == "input":
            self.future.set_exception(InputError(answer.text))
        else:
            self.future.set_exception(RunError(f"a worker cannot start: {answer.text}"))

    def fail(self, reason: str) -> bool:
        """Note a failure; True if another attempt follows."""
        self.failures.append(reason)
        if len(self.failures) < MAX_ATTEMPTS:
            return True
        first, *others = self.failures
        same = all(other == first for other in others)
        reasons = f", each time {first}" if same else ": " + ", then ".join(self.failures)
        self.future.set_result(ScoringFailure(f"tried {len(self.failures)} times{reasons}"))
        return False

    def give_up(self, why: BaseException) -> None:
        """Set an error, because there will be no answer."""
        with suppress(InvalidStateError):  # it was cancelled
            self.future.set_exception(why)


def describe_end(error: Exception, process: str) -> str:
    """Say how a process of Ray has ended, by the `RayError` in place of its answer.

    Args:
        error: what Ray raised.
        process: the subject of the sentence.
    """
    from ray import exceptions

    if isinstance(error, exceptions.OutOfMemoryError):
        return f"{process} was ended because memory ran out"
    if isinstance(error, exceptions.RayActorError):
        if "node has died" in str(error):
            return f"the machine of {process} is gone"
        return f"{process} crashed or was killed, as the system does when memory runs out"
    return f"{process} failed: {in_one_line(getattr(error, 'cause', error))}"


class Worker:
    """A process of Ray that scores or trains. Import Ray before.

    Ray does not restart it, because a new process has another number to be stopped by.

    Args:
        make_work: makes what does the work.
        threads: of torch.
        resources: "num_cpus" and "num_gpus" of the actor.
    """

    def __init__(
        self, make_work: Callable[[], Work], threads: str, resources: Mapping[str, float]
    ) -> None:
        import psutil
        import ray

        self._ray: Any = ray
        self._psutil: Any = psutil
        self._make_work = make_work
        self._process: Any = None
        actor = self._ray.remote(ScorerActor)
        self._actor = actor.options(max_restarts=0, max_task_retries=0, **resources).remote(
            identify_machine(), str(Path.cwd()), threads
        )
        self._number = self._actor.introduce.remote()

    def started(self, seconds: float) -> bool:
        """Whether the process has started, or failed to; waits so long for it."""
        try:
            number = self._ray.get(self._number, timeout=seconds)
            self._process = self._psutil.Process(number) if number else None
        except self._ray.exceptions.GetTimeoutError:
            return False
        except (self._ray.exceptions.RayError, self._psutil.NoSuchProcess):
            pass  # its first answer tells why
        return True

    @property
    def here(self) -> bool:
        """Whether it computes on this machine."""
        return self._process is not None

    def ask(self, order: bytes) -> Any:
        """Ask for a piece of work, or to make what does it if the order is b"".

        Returns:
            What stands for the answer. Ask for nothing else before it has come.
        """
        if order:
            return self._actor.compute.remote(order)
        return self._actor.prepare.remote(self._make_work)

    def answered(self, asked: Any, seconds: float) -> bool:
        """Whether the answer has come, or the process has died; waits so long for it."""
        return bool(self._ray.wait([asked], timeout=seconds)[0])

    def answer(self, asked: Any) -> Answer | str:
        """The answer; or how the process ended, as the end of a sentence."""
        try:
            return msgspec.json.decode(self._ray.get(asked), type=Answer)
        except self._ray.exceptions.RayError as error:
            return describe_end(error, "its worker")

    def stop(self) -> None:
        """Stop the process; returns when it stands still or has ended."""
        halted = {getattr(self._psutil, f"STATUS_{name}") for name in ("STOPPED", "ZOMBIE", "DEAD")}
        with suppress(self._psutil.NoSuchProcess):
            self._process.suspend()
            while self._process.status() not in halted:
                time.sleep(0.001)

    def go_on(self) -> None:
        """Let the process continue."""
        with suppress(self._psutil.NoSuchProcess):
            self._process.resume()

    def kill(self) -> None:
        """Kill the process, even if it is stopped or hangs."""
        self._ray.kill(self._actor)
        if self.here:
            with suppress(self._psutil.NoSuchProcess):
                self._process.kill()

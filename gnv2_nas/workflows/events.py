"""What a running workflow reports: a few frozen events, handed to one observer.

Every event is a line of text for people, and all but a `Message` know which share of the work is
done. The command line shows them on a terminal; `print_events` prints them for a script.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from gnv2_nas.training.history import TrainingPoint
from gnv2_nas.units import format_duration

if TYPE_CHECKING:
    from gnv2_nas.quality.trust.check import TrustProgress
    from gnv2_nas.search.timetable import Status

LOG_SECONDS = 10.0
"""Seconds between two progress lines in a log."""


class Message(msgspec.Struct, frozen=True):
    """A sentence for people."""

    text: str


class TaskProgress(msgspec.Struct, frozen=True):
    """How much of one task is done, such as reading images or calibrating a device."""

    task: str
    share: float
    """From 0 to 1; 1 ends the task."""
    seconds_left: float | None = None

    def line(self) -> str:
        """Return "calibrating device cpu: 40% · 12 s left"."""
        left = "" if self.seconds_left is None else f" · {format_duration(self.seconds_left)} left"
        return f"{self.task}: {self.share:.0%}{left}"


class SearchProgress(msgspec.Struct, frozen=True):
    """The state of a search."""

    status: Status

    @property
    def share(self) -> float:
        return min(self.status.evaluated / self.status.wanted, 1.0)

    def line(self) -> str:
        """Return "40/120 trials · 98% feasible · front 9 · best 111.3 at 9.71 ms · 2 min left"."""
        status = self.status
        parts = [f"{status.evaluated}/{status.wanted} trials"]
        if status.evaluated:
            parts.append(f"{status.feasible / status.evaluated:.0%} feasible")
        if status.rejected:
            parts.append(f"{status.rejected} of {status.proposed} rejected by arithmetic")
        if status.reused:
            parts.append(f"{status.reused} latencies from records")
        parts.append(f"front {status.front}")
        if status.best is not None and status.best.quality is not None:
            at = f" at {status.best.latency.ms:.2f} ms" if status.best.latency else ""
            if len(status.best.measured_on) > 1:
                at = f" at {status.best.value('latency-ratio'):.2f} × V2 1.0"
            parts.append(f"best {status.best.quality:.2f}{at}")
        if status.aside:
            parts.append(f"without {' and '.join(status.aside)}")
        if status.seconds_left is not None:
            parts.append(f"{format_duration(status.seconds_left)} left")
        return " · ".join([*parts, status.doing])


class TrainingProgress(msgspec.Struct, frozen=True):
    """The state of a training."""

    point: TrainingPoint
    accuracies: tuple[float, ...] = ()
    """The latest held-out accuracies, 0 to 1; of a supernet its largest and smallest network's."""

    @property
    def share(self) -> float:
        return self.point.step / self.point.steps

    def line(self) -> str:
        """Return "step 300/900 · epoch 3.1 · loss 1.204 · held-out 61.2% · 2 min left"."""
        point = self.point
        parts = [f"step {point.step}/{point.steps}", f"epoch {point.epoch:.1f}"]
        parts.append(f"loss {point.loss:.3f}")
        names = ("largest", "smallest") if len(self.accuracies) > 1 else ("held-out",)
        parts += [f"{name} {each:.1%}" for name, each in zip(names, self.accuracies, strict=False)]
        if point.seconds_left is not None:
            parts.append(f"{format_duration(point.seconds_left)} left")
        return " · ".join(parts)


class TrustCheckProgress(msgspec.Struct, frozen=True):
    """The state of the trainings of a trust check."""

    progress: TrustProgress

    @property
    def share(self) -> float:
        point = self.progress.point
        return (self.progress.done + point.step / point.steps) / self.progress.total

    def line(self) -> str:
        """Return "training 3 of 24 · network 3, seed 0 · 45% · 12 min 5 s left"."""
        progress = self.progress
        parts = [
            f"training {progress.done + 1} of {progress.total}",
            f"network {progress.network}, seed {progress.seed}",
            f"{progress.point.step / progress.point.steps:.0%}",
        ]
        if progress.seconds_left is not None:
            parts.append(f"{format_duration(progress.seconds_left)} left")
        return " · ".join(parts)


Progress = TaskProgress | SearchProgress | TrainingProgress | TrustCheckProgress
Event = Message | Progress
Events = Callable[[Event], None]
"""An observer of a workflow. It is called in the thread that does the work."""


def ignore(event: Event) -> None:
    """Observe nothing."""


def report_messages(events: Events) -> Callable[[str], None]:
    """Return a callback that reports each text it is given as a `Message`."""
    return lambda text: events(Message(text))


@contextmanager
def report_task(events: Events, task: str) -> Iterator[Callable[[float], None]]:
    """Yield a callback that reports the share of `task` that is done."""
    started = time.monotonic()

    def report(share: float) -> None:
        seconds = time.monotonic() - started
        left = seconds * (1 - share) / share if share > 0 else None
        events(TaskProgress(task, share, left))

    events(TaskProgress(task, 0.0))
    yield report
    events(TaskProgress(task, 1.0))


class LogPace:
    """Decides which progress events become a line in a log: one every `LOG_SECONDS`."""

    def __init__(self) -> None:
        self._task = ""
        self._logged = float("-inf")

    def is_due(self, event: Progress) -> bool:
        """Whether to show this event. A task shorter than the interval is never shown."""
        now = time.monotonic()
        if isinstance(event, TaskProgress):
            if event.task != self._task:
                self._task, self._logged = event.task, now
            if event.share >= 1:
                self._task, self._logged = "", float("-inf")
                return False
        last_step = isinstance(event, TrainingProgress) and event.point.step == event.point.steps
        if now - self._logged < LOG_SECONDS and not last_step:
            return False
        self._logged = now
        return True


def print_events() -> Events:
    """Return an observer that prints messages, and progress now and then, to standard error."""
    pace = LogPace()

    def show(event: Event) -> None:
        if isinstance(event, Message):
            sys.stderr.write(f"{event.text}\n")
        elif pace.is_due(event):
            sys.stderr.write(f"{event.line()}\n")

    return show

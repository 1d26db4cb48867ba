"""Progress of a training: a live line on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gnv2_nas.cli.console import say
from gnv2_nas.cli.live import LiveBar, is_live
from gnv2_nas.cli.progress import LOG_EVERY_SECONDS
from gnv2_nas.units import format_duration

if TYPE_CHECKING:
    from gnv2_nas.training import TrainingPoint

_LIVE_EVERY_SECONDS = 0.2


class TrainingProgress:
    """Shows where a training stands."""

    def __init__(self) -> None:
        self._bar = LiveBar("starting", None, bar_first=True)
        self._shown = float("-inf")
        self._accuracies: tuple[float, ...] = ()

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def show(self, point: TrainingPoint) -> None:
        if point.accuracy is not None:
            found = (point.accuracy, point.smallest_accuracy)
            self._accuracies = tuple(each for each in found if each is not None)
        if point.note:
            say(f"step {point.step}: {point.note}")
        live = is_live()
        every = _LIVE_EVERY_SECONDS if live else LOG_EVERY_SECONDS
        last = point.step == point.steps
        if time.monotonic() - self._shown < every and not last:
            return
        self._shown = time.monotonic()
        line = training_line(point, self._accuracies)
        if live:
            self._bar.show(point.step, line, point.steps)
        else:
            say(line)


def training_line(point: TrainingPoint, accuracies: tuple[float, ...]) -> str:
    """ "step 40/120 · epoch 3.1 · loss 1.234 · held-out 93.2% · 2 min 5 s left".

    Args:
        accuracies: held-out ones as they were last measured; of a supernet, those of its largest
            and its smallest network.
    """
    parts = [f"step {point.step}/{point.steps}", f"epoch {point.epoch:.1f}"]
    parts.append(f"loss {point.loss:.3f}")
    if accuracies:
        shown = [f"{each:.1%}" for each in accuracies]
        names = ("largest", "smallest") if len(shown) > 1 else ("held-out",)
        parts += [f"{name} {value}" for name, value in zip(names, shown, strict=True)]
    if point.seconds_left is not None:
        parts.append(f"{format_duration(point.seconds_left)} left")
    return " · ".join(parts)

"""Progress: one live line on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gnv2_nas.cli.console import say
from gnv2_nas.cli.live import LiveLine, is_live
from gnv2_nas.units import format_duration

if TYPE_CHECKING:
    from gnv2_nas.search.status import Status

LOG_EVERY_SECONDS = 10.0


class SearchProgress:
    """Shows the status of a search."""

    def __init__(self) -> None:
        self._live = LiveLine("starting") if is_live() else None
        self._logged = float("-inf")

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, status: Status) -> None:
        line = status_line(status)
        if self._live is not None:
            self._live.show(line)
        elif time.monotonic() - self._logged >= LOG_EVERY_SECONDS:
            self._logged = time.monotonic()
            say(line)


def status_line(status: Status) -> str:
    """ "40/120 trials · 98% feasible · front 9 · best 111.3 at 9.71 ms · 2 min 5 s left"."""
    parts = [f"{status.evaluated}/{status.wanted} trials"]
    if status.evaluated:
        parts.append(f"{status.feasible / status.evaluated:.0%} feasible")
    if status.rejected:
        parts.append(f"{status.rejected} of {status.proposed} rejected by arithmetic")
    parts.append(f"front {status.front}")
    if status.best is not None and status.best.quality is not None:
        at = f" at {status.best.latency.ms:.2f} ms" if status.best.latency else ""
        parts.append(f"best {status.best.quality:.2f}{at}")
    if status.seconds_left is not None:
        parts.append(f"{format_duration(status.seconds_left)} left")
    return " · ".join([*parts, status.doing])

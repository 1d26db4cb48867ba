"""Deadlines, and estimates of how long work takes on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Self

import msgspec

from gnv2_nas.errors import OutOfTimeError

Clock = Callable[[], float]


class Deadline(msgspec.Struct, frozen=True):
    """A point in time on a monotonic clock."""

    at: float = math.inf
    clock: Clock = time.monotonic

    @property
    def left(self) -> float:
        """Seconds until the deadline; negative afterwards."""
        return self.at - self.clock()

    @property
    def is_over(self) -> bool:
        return self.left <= 0

    def allows(self, seconds: float) -> bool:
        """Whether work of `seconds` ends before the deadline."""
        return seconds <= self.left

    def earlier(self, seconds: float) -> Self:
        """A deadline `seconds` before this one."""
        return msgspec.structs.replace(self, at=self.at - seconds)

    def within(self, share: float) -> Self:
        """A deadline after a share of the time that is left."""
        return self if math.isinf(self.at) else self.earlier((1 - share) * max(self.left, 0.0))

    def check(self, doing: str) -> None:
        """Refuse to continue after the deadline.

        Raises:
            OutOfTimeError: the time is up.
        """
        if self.is_over:
            raise OutOfTimeError(f"the time limit ended {doing}; --timeout gives more")


MIN_SECONDS = 0.3
"""Shortest time to measure a network: with less, its interval would be useless."""
READY_SECONDS = 0.25
"""Estimated time to write, check and load a network, before any was."""


class Pace:
    """Estimates from the work so far, on this machine under its present load."""

    def __init__(self) -> None:
        self._proposing, self._scoring = _Rate(), _Rate()

    def proposed(self, count: int, seconds: float) -> None:
        """Record how long proposing `count` networks took."""
        self._proposing.add(count, seconds)

    def scored(self, count: int, seconds: float) -> None:
        """Record how long scoring `count` networks took."""
        self._scoring.add(count, seconds)

    def scoring(self, count: int) -> float:
        """Seconds to score `count` networks."""
        return count * self._scoring.now

    def proposing(self, count: int) -> float:
        """Seconds to propose `count` networks."""
        return count * self._proposing.now


class MeasuringPace:
    """Estimates of measuring on one device.

    Args:
        timing: shortest time, in seconds, in which the device times one network.
    """

    def __init__(self, timing: float = 0.0) -> None:
        self._timing, self._readying = timing, _Rate(READY_SECONDS)
        self.latest = (0, 0.0)
        """What `readied` was called with."""

    def readied(self, count: int, seconds: float) -> None:
        """Record how long it took until `count` networks had been timed once."""
        self.latest = count, seconds
        self._readying.add(count, seconds)

    def measuring(self, count: int, seconds_per_network: float = MIN_SECONDS) -> float:
        """Seconds to measure `count` networks together."""
        if not count:
            return 0.0
        # Each is loaded twice. One more network stands for the panel.
        timing = max(seconds_per_network, self._readying.now, self._timing)
        return count * self._readying.now + (count + 1) * timing


class _Rate:
    """Seconds for one item: the mean, or that of the last batch if it was slower."""

    def __init__(self, guess: float = 0.0) -> None:
        self._count, self._seconds, self._last, self._guess = 0, 0.0, 0.0, guess

    def add(self, count: int, seconds: float) -> None:
        if count:
            self._count += count
            self._seconds += seconds
            self._last = seconds / count

    @property
    def now(self) -> float:
        return max(self._seconds / self._count, self._last) if self._count else self._guess

"""Deadlines, and how long scorings and measurements have taken so far."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Self

import msgspec

from gnv2_nas.errors import OutOfTimeError

Clock = Callable[[], float]


class Deadline(msgspec.Struct, frozen=True):
    """A point in time, on a clock that only goes forward."""

    at: float = math.inf
    clock: Clock = time.monotonic

    @property
    def left(self) -> float:
        """Seconds until then; below 0 afterwards."""
        return self.at - self.clock()

    @property
    def is_over(self) -> bool:
        return self.left <= 0

    def allows(self, seconds: float) -> bool:
        """Whether what takes so long ends in time."""
        return seconds <= self.left

    def earlier(self, seconds: float) -> Self:
        """The deadline that leaves so many seconds until this one."""
        return msgspec.structs.replace(self, at=self.at - seconds)

    def within(self, share: float) -> Self:
        """The deadline after a share of the time that is left now."""
        return self if math.isinf(self.at) else self.earlier((1 - share) * max(self.left, 0.0))

    def check(self, doing: str) -> None:
        """Refuse to go on where nothing of use would be there in time.

        Raises:
            OutOfTimeError: the time is up.
        """
        if self.is_over:
            raise OutOfTimeError(f"the time limit ended {doing}; --timeout gives more")


SHORTEST = 0.3
"""Seconds a network is timed for at least; in less, its interval would be of no use."""
READYING = 0.25
"""Seconds to write, check and load a network, before one was."""


class Pace:
    """Seconds that work takes on this machine, as busy as it is now."""

    def __init__(self) -> None:
        self._proposing, self._scoring, self._readying = _Rate(), _Rate(), _Rate(READYING)

    def proposed(self, count: int, seconds: float) -> None:
        """Take note of how long proposing networks took."""
        self._proposing.add(count, seconds)

    def scored(self, count: int, seconds: float) -> None:
        """Take note of how long scoring took."""
        self._scoring.add(count, seconds)

    def readied(self, count: int, seconds: float) -> None:
        """Take note of how long it took until networks had been timed once."""
        self._readying.add(count, seconds)

    def scoring(self, count: int) -> float:
        """Seconds to score so many networks."""
        return count * self._scoring.now

    def proposing(self, count: int) -> float:
        """Seconds to propose so many networks."""
        return count * self._proposing.now

    def measuring(self, count: int, seconds_per_network: float = SHORTEST) -> float:
        """Seconds to measure so many networks together."""
        if not count:
            return 0.0
        # They are loaded a second time. One more is for the panel.
        timing = max(seconds_per_network, self._readying.now)
        return count * self._readying.now + (count + 1) * timing


class _Rate:
    """Seconds a piece: the mean, or those of the last batch where it was slower."""

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

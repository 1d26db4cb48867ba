"""When a run has to be over: one object that everything in it heeds."""

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

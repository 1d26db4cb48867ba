"""How long a training has run, and how long it will."""

from __future__ import annotations

from time import perf_counter


class Clock:
    """Time of a training that may have had earlier runs.

    Args:
        earlier: seconds of those.
    """

    def __init__(self, earlier: float = 0.0) -> None:
        self._earlier = earlier
        self._begun = perf_counter()
        self._counted = 0
        self._first_step_done = 0.0

    @property
    def seconds(self) -> float:
        """Of all runs together."""
        return self._earlier + perf_counter() - self._begun

    def step_done(self) -> None:
        """To be told after every step. The first one, which warms up, does not count."""
        if self._counted == 0:
            self._first_step_done = perf_counter()
        self._counted += 1

    def seconds_left(self, steps: int) -> float | None:
        """An estimate for so many further steps; None before two are done."""
        if self._counted < 2:
            return None
        return steps * (perf_counter() - self._first_step_done) / (self._counted - 1)

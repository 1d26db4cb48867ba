"""How the time of a run is shared out: what is begun must end in time, by what others took."""

from __future__ import annotations

from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.search.evaluate import SEARCHING
from gnv2_nas.search.pace import Deadline, Pace
from gnv2_nas.search.sampler.remeasurement import MAX_PER_BATCH

FINISHING = 0.2, 60.0
"""Share of the time, and seconds, that are kept for measuring the front in the end, at most."""
CONFIRMING = MeasurementOptions(precision=0.02, seconds_per_network=1.5)
"""Measurement of the front after the search."""
FOR_STOCK = 0.25
"""Share of the time for stock networks, at most."""


class Timetable:
    """The time of one run, until its deadline.

    Args:
        deadline: when all is over, measuring the front in the end included.
        pace: what networks have cost so far.
        measures: whether networks are measured.
    """

    def __init__(self, deadline: Deadline, pace: Pace, *, measures: bool) -> None:
        self.deadline, self.pace, self.measures = deadline, pace, measures
        self._began = deadline.clock()
        share, seconds = FINISHING
        self._for_finishing = min(share * max(deadline.left, 0.0), seconds)

    @property
    def elapsed(self) -> float:
        return self.deadline.clock() - self._began

    @property
    def for_stock(self) -> Deadline:
        """When stock networks are to be evaluated."""
        return self.deadline.within(FOR_STOCK)

    def searching(self, members: int) -> Deadline:
        """When the search itself is over.

        Args:
            members: networks on the front now. They and a stock network are measured afterwards.
        """
        if not self.measures:
            return self.deadline
        wanted = self.pace.measuring(members + 1, CONFIRMING.seconds_per_network)
        return self.deadline.earlier(min(wanted, self._for_finishing))

    def fitting(self, wanted: int, until: Deadline) -> int:
        """How many of the networks that are wanted can be evaluated by then."""
        while wanted and not until.allows(self._cost(wanted)):
            wanted -= 1
        return wanted

    def left(self, done: int, missing: int) -> float | None:
        """Seconds until the missing networks are there, or the time is up; None while unknown."""
        if not done:
            return None
        return max(0.0, min(self.elapsed / done * missing, self.deadline.left))

    def allows_looks(self, new: int, until: Deadline) -> bool:
        """Whether there is time to measure some once more beside so many new networks."""
        return self.measures and until.allows(self._cost(new, MAX_PER_BATCH))

    def _cost(self, new: int, again: int = 0) -> float:
        measuring = (
            self.pace.measuring(new + again, SEARCHING.seconds_per_network)
            if self.measures
            else 0.0
        )
        return self.pace.proposing(new) + self.pace.scoring(new) + measuring

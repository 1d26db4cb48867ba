"""How a run divides its time, and its state for a progress line."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.search.lane import SEARCHING
from gnv2_nas.search.lanes import Lanes
from gnv2_nas.search.pace import Deadline, Pace
from gnv2_nas.search.sampler.remeasurement import MAX_PER_BATCH
from gnv2_nas.search.study.records import Trial

CONFIRMING_SHARE, MAX_CONFIRMING_SECONDS = 0.2, 60.0
"""Time reserved for confirming the front: this share of the time limit, at most these seconds."""
CONFIRMING = MeasurementOptions(precision=0.02, seconds_per_network=1.5)
"""Measurement of the front after the search."""
STOCK_SHARE = 0.25
"""Largest share of the time for stock networks."""


class Status(msgspec.Struct, frozen=True):
    """State of a search, for a progress line."""

    evaluated: int
    wanted: int
    proposed: int
    rejected: int
    feasible: int
    """Number of evaluated networks that keep every budget."""
    front: int
    best: Trial | None
    """The best network of the front in the first objective."""
    seconds: float
    seconds_left: float | None
    """Until the trials or the time run out, whichever comes first; None while unknown."""
    doing: str
    reused: int = 0
    """Number of latencies that this run took from records instead of measuring."""
    aside: tuple[str, ...] = ()
    """Devices that failed, so that the search goes on without them."""


Observer = Callable[[Status], None]


class Timetable:
    """The time of one run, until its deadline.

    Args:
        deadline: end of the run, confirming the front included.
        pace: cost of proposing and scoring so far.
        lanes: the devices, with the cost of measuring so far.
        measures: whether networks are measured.
    """

    def __init__(self, deadline: Deadline, pace: Pace, lanes: Lanes, *, measures: bool) -> None:
        self.deadline, self.pace, self.lanes, self.measures = deadline, pace, lanes, measures
        self._began = deadline.clock()
        share = CONFIRMING_SHARE * max(deadline.left, 0.0)
        self._for_confirming = min(share, MAX_CONFIRMING_SECONDS)

    @property
    def elapsed(self) -> float:
        return self.deadline.clock() - self._began

    @property
    def for_stock(self) -> Deadline:
        """End of evaluating stock networks."""
        return self.deadline.within(STOCK_SHARE)

    def searching(self, members: int) -> Deadline:
        """End of the search itself.

        Args:
            members: number of networks on the front. They and a stock network are measured
                afterwards.
        """
        if not self.measures:
            return self.deadline
        wanted = self.lanes.measuring(members + 1, CONFIRMING.seconds_per_network)
        return self.deadline.earlier(min(wanted, self._for_confirming))

    def fitting(self, wanted: int, until: Deadline, scoring: int = 0, measuring: int = 0) -> int:
        """The number of networks, at most `wanted`, that can be evaluated before `until`.

        Args:
            wanted: number of networks.
            until: end of evaluating them.
            scoring: number of networks to be scored and measured before them.
            measuring: number of networks to be measured before those.
        """
        queue = self._measuring(scoring + measuring)
        while wanted and not until.allows(
            max(self._cost(wanted) + self.pace.scoring(scoring), queue + self._measuring(wanted))
        ):
            wanted -= 1
        return wanted

    def left(self, done: int, missing: int) -> float | None:
        """Seconds until all networks are evaluated or the time is up; None while unknown."""
        if not done:
            return None
        return max(0.0, min(self.elapsed / done * missing, self.deadline.left))

    def allows_remeasuring(self, new: int, until: Deadline) -> bool:
        """Whether there is time to measure some networks again beside `new` new ones."""
        return self.measures and until.allows(self._cost(new, MAX_PER_BATCH))

    def allows_measuring(self, count: int, until: Deadline) -> bool:
        """Whether there is time to measure `count` networks as the search does."""
        return until.allows(self.lanes.measuring(count, SEARCHING.seconds_per_network))

    def _cost(self, new: int, again: int = 0) -> float:
        return self.pace.proposing(new) + self.pace.scoring(new) + self._measuring(new + again)

    def _measuring(self, count: int) -> float:
        if not self.measures:
            return 0.0
        return self.lanes.measuring(count, SEARCHING.seconds_per_network)

"""One session of a measurement: load networks afresh, and visit them in rounds.

Every round visits each network once, in a fresh random order, so a disturbance of the machine hits
all networks alike and no network always follows the same neighbour. A visit is two calls: the first
brings the network's weights back into the caches, the second counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gnv2_nas.runner.timing import Timer

Run = Callable[[], object]
"""One inference; it returns when the inference is finished."""
Visit = tuple[float, float, float, float]
"""Wall and busy seconds of the first call, then of the call that counts."""
RoundCallback = Callable[[Sequence[Visit]], None]
"""Receives the visits of one round, in the order in which they were made."""


@dataclass(frozen=True)
class SessionOrder:
    """What a session does; the host draws it, and the device follows it."""

    loading: Sequence[int]
    """Numbers of the networks in the order in which they are loaded."""
    rounds: Sequence[Sequence[int]]
    """For each round, the numbers of the networks in the order of their visits."""
    seconds: float
    """The session ends after the round in which this time is over, loading included."""


def run_session(
    load: Callable[[int], Run],
    timer: Timer,
    order: SessionOrder,
    report: RoundCallback,
    pace: float = 0.0,
) -> None:
    """Load networks and time their calls.

    Args:
        load: loads the network of a number into a fresh session and returns its call.
        timer: times one call.
        order: what to load and to visit.
        report: called after each round; the time that it takes is not measured.
        pace: seconds from the start of a call to the start of the next, as in an application that
            gets so many frames a second; 0 calls without pauses.
    """
    if pace:
        timer = paced(timer, pace)
    end = time.monotonic() + order.seconds
    runs = {number: load(number) for number in order.loading}
    for run in runs.values():
        run()
    for sequence in order.rounds:
        report([(*timer(runs[number]), *timer(runs[number])) for number in sequence])
        if time.monotonic() >= end:
            break


def paced(timer: Timer, pace: float) -> Timer:
    """Return a timer that waits before each call until `pace` seconds after the last one began."""
    earliest = time.monotonic()

    def wait_and_time(run: Run) -> tuple[float, float]:
        nonlocal earliest
        time.sleep(max(earliest - time.monotonic(), 0.0))
        earliest = time.monotonic() + pace
        return timer(run)

    return wait_and_time

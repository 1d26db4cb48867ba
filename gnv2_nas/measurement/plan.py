"""The schedule of a measurement: sessions and rounds. It knows no runtime.

Every round visits each network once, in a fresh random order, so a disturbance of the machine hits
all networks alike and no network always follows the same neighbour. A visit is two calls: the first
brings the network's weights back into the caches, the second counts. Each session loads every
network afresh, because the place of its weights in memory changes its time by about 1 %.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.runtimes.base import Timer

Run = Callable[[], object]
"""One inference; it returns when the inference is finished."""


class MeasurementOptions(msgspec.Struct, frozen=True):
    """How exactly to measure networks that share rounds."""

    precision: float = 0.01
    """Relative half-width of the 95 % interval that ends the measurement. The error of the device's
    calibration is not counted, because measuring longer does not reduce it."""
    seconds_per_network: float = 3.0
    """Time limit for each network. It includes loading; it excludes writing and checking files."""
    sessions: int = 2
    """Minimum number of sessions, time permitting."""


COMPARING = MeasurementOptions(precision=0.004, seconds_per_network=5.0, sessions=4)
"""Tells networks 3 % apart on a noisy machine."""


class MeasurementPlan(msgspec.Struct, frozen=True):
    """When a measurement ends."""

    sessions: int = 2
    """Minimum number of sessions, time permitting."""
    rounds: int = 15
    """Rounds of a session."""
    max_sessions: int = 8
    max_seconds: float = 30.0


class Timings(msgspec.Struct, frozen=True):
    """Times of all visits: arrays of (networks, rounds). A round belongs to one session."""

    order: NDArray[np.intp]
    """Position of each visit in time, from 0."""
    session: NDArray[np.intp]
    """(rounds,) session of each round."""
    wall: NDArray[np.float64]
    """Seconds of the call that counts."""
    busy: NDArray[np.float64]
    """The same on the busy clock, see `Runtime.timer`."""
    first_wall: NDArray[np.float64]
    """Seconds of the first call of the visit."""
    first_busy: NDArray[np.float64]

    @property
    def rounds(self) -> int:
        return len(self.session)

    @property
    def sessions(self) -> int:
        return int(self.session[-1]) + 1


class _TimingsBuilder:
    """Collects visits round by round."""

    def __init__(self, timer: Timer) -> None:
        self.timer = timer
        self.rows: list[list[tuple[float, ...]]] = []
        self.session: list[int] = []

    def time_round(self, runs: Sequence[Run], session: int, rng: random.Random) -> None:
        row: list[tuple[float, ...]] = [()] * len(runs)
        sequence = list(range(len(runs)))
        rng.shuffle(sequence)
        for position, number in enumerate(sequence, start=len(runs) * len(self.rows)):
            run = runs[number]
            row[number] = (position, *self.timer(run), *self.timer(run))
        self.rows.append(row)
        self.session.append(session)

    def build(self) -> Timings:
        order, first_wall, first_busy, wall, busy = np.array(self.rows).transpose(2, 1, 0)
        session = np.array(self.session)
        return Timings(order.astype(np.intp), session, wall, busy, first_wall, first_busy)


def collect(
    open_session: Callable[[int], Sequence[Run]],
    plan: MeasurementPlan,
    timer: Timer,
    rng: random.Random,
    enough: Callable[[Timings], bool],
    progress: Callable[[float], None] = lambda _: None,
) -> Timings:
    """Time networks session by session until `enough` holds or the plan's limits are reached.

    Args:
        open_session: maps the number of a session to all networks, loaded afresh.
        plan: limits of sessions, rounds and seconds.
        timer: times one call.
        rng: draws the order of each round.
        enough: called after each session from `plan.sessions` on.
        progress: called after every round with the share of the allowed time that has passed.
    """
    started = time.monotonic()
    builder = _TimingsBuilder(timer)
    for session in range(plan.max_sessions):
        opened = time.monotonic()
        runs = open_session(session)
        for run in runs:
            run()
        # Each of the required sessions gets an equal share of the time.
        share = plan.max_seconds * min(1.0, (session + 1) / plan.sessions)
        for _ in range(plan.rounds):
            builder.time_round(runs, session, rng)
            spent = time.monotonic() - started
            progress(min(spent / plan.max_seconds, 1.0))
            if spent >= share:
                break
        half_a_session = (time.monotonic() - opened) / 2
        if session + 1 >= plan.sessions and (
            spent + half_a_session >= plan.max_seconds or enough(builder.build())
        ):
            break
    return builder.build()

"""The plan of a measurement: sessions, and in each of them rounds. Knows no runtime.

Every network is visited once in every round, in an order drawn afresh, so what the machine does
to one it does to all of them, and no network always follows the same neighbour. A visit is one
call that brings the network's weights back into the caches and one that counts. After some rounds
every network is loaded afresh: where its weights come to lie in memory moves it by about 1 %.
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
"""One inference, finished when it returns."""


class MeasurementPlan(msgspec.Struct, frozen=True):
    """When a measurement has seen enough."""

    sessions: int = 2
    """At least so many fresh sessions of every network, time permitting."""
    rounds: int = 15
    """In each session."""
    max_sessions: int = 8
    max_seconds: float = 30.0


class Timings(msgspec.Struct, frozen=True):
    """What was timed. Arrays of (networks, rounds); a round belongs to one session."""

    order: NDArray[np.intp]
    """Position of each visit in time, 0 first."""
    session: NDArray[np.intp]
    """(rounds,): the session of each round."""
    wall: NDArray[np.float64]
    """Seconds of the call that counts."""
    busy: NDArray[np.float64]
    """The same on the busy clock."""
    first_wall: NDArray[np.float64]
    """Seconds of the call before it."""
    first_busy: NDArray[np.float64]

    @property
    def rounds(self) -> int:
        return len(self.session)

    @property
    def sessions(self) -> int:
        return int(self.session[-1]) + 1


class _Record:
    """Timings as they come in."""

    def __init__(self, timer: Timer) -> None:
        self.timer = timer
        self.rows: list[list[tuple[float, ...]]] = []
        self.session: list[int] = []

    def round(self, runs: Sequence[Run], session: int, rng: random.Random) -> None:
        row: list[tuple[float, ...]] = [()] * len(runs)
        sequence = list(range(len(runs)))
        rng.shuffle(sequence)
        for position, number in enumerate(sequence, start=len(runs) * len(self.rows)):
            run = runs[number]
            row[number] = (position, *self.timer(run), *self.timer(run))
        self.rows.append(row)
        self.session.append(session)

    def timings(self) -> Timings:
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
    """Time networks session by session until `enough` says so or the plan's limits are reached.

    Args:
        open_session: number of the session → every network loaded afresh, ready to run.
        enough: asked after each session from `plan.sessions` on.
        progress: called after every round with the share of the allowed time that has passed.
    """
    started = time.monotonic()
    record = _Record(timer)
    for session in range(plan.max_sessions):
        opened = time.monotonic()
        runs = open_session(session)
        for run in runs:
            run()
        # The sessions that are wanted at least each get their share of the time.
        share = plan.max_seconds * min(1.0, (session + 1) / plan.sessions)
        for _ in range(plan.rounds):
            record.round(runs, session, rng)
            spent = time.monotonic() - started
            progress(min(spent / plan.max_seconds, 1.0))
            if spent >= share:
                break
        half_a_session = (time.monotonic() - opened) / 2
        if session + 1 >= plan.sessions and (
            spent + half_a_session >= plan.max_seconds or enough(record.timings())
        ):
            break
    return record.timings()

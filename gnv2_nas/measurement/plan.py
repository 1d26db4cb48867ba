"""The schedule of a measurement: sessions and rounds. It knows no runtime and no device.

Each session loads every network afresh, because the place of its weights in memory changes its time
by about 1 %. `runner/rounds.py` describes the rounds of a session.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.devices.host import Bench
from gnv2_nas.measurement.conditions import ConditionsWatch, MeasuredConditions
from gnv2_nas.runner.lock import Waiting
from gnv2_nas.runner.rounds import SessionOrder, Visit

MIN_SLOW_ROUNDS = 12
"""Rounds that there is time for where visits are slow, because of pauses or because each loads its
network anew. An interval needs `record.MIN_ROUNDS`."""


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


CALLS_PER_VISIT = 2
MAX_PACED_SECONDS = 5.0
"""A measurement with pauses may take so many seconds for each network, or longer if
`MIN_SLOW_ROUNDS` do."""


def paced_seconds(pace: float | None, rounds: float) -> float:
    """Return how long a network's visits in some rounds take at a pace of calls a second.

    Without a pace (None) they take no set time: 0.
    """
    return 0.0 if pace is None else rounds * CALLS_PER_VISIT / pace


def allow_pauses(plan: MeasurementPlan, networks: int, pace: float | None) -> MeasurementPlan:
    """Return the plan with the time that its rounds need at a pace, within bounds.

    Args:
        plan: a plan without pauses.
        networks: number of networks in a round.
        pace: calls a second; None for no pauses.
    """
    longest = paced_seconds(pace, plan.max_sessions * plan.rounds)
    each = max(min(longest, MAX_PACED_SECONDS), paced_seconds(pace, MIN_SLOW_ROUNDS))
    return msgspec.structs.replace(plan, max_seconds=max(plan.max_seconds, networks * each))


def allow_loading(plan: MeasurementPlan, seconds_per_round: float) -> MeasurementPlan:
    """Return the plan with the time for `MIN_SLOW_ROUNDS` rounds at least.

    Args:
        plan: a plan for networks that stay loaded.
        seconds_per_round: see `Bench.seconds_per_round`.
    """
    seconds = MIN_SLOW_ROUNDS * seconds_per_round
    return msgspec.structs.replace(plan, max_seconds=max(plan.max_seconds, seconds))


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

    def __init__(self) -> None:
        self.rows: list[list[tuple[float, ...]]] = []
        self.session: list[int] = []

    def add(self, session: int, sequence: Sequence[int], visits: Sequence[Visit]) -> None:
        row: list[tuple[float, ...]] = [()] * len(sequence)
        start = len(sequence) * len(self.rows)
        for position, (number, visit) in enumerate(zip(sequence, visits, strict=True), start):
            row[number] = (position, *visit)
        self.rows.append(row)
        self.session.append(session)

    def build(self) -> Timings:
        order, first_wall, first_busy, wall, busy = np.array(self.rows).transpose(2, 1, 0)
        session = np.array(self.session)
        return Timings(order.astype(np.intp), session, wall, busy, first_wall, first_busy)


def draw_order(networks: int, rounds: int, seconds: float, rng: random.Random) -> SessionOrder:
    """Draw the order of loading and of each round."""
    numbers = range(networks)
    loading, *sequences = (rng.sample(numbers, networks) for _ in range(rounds + 1))
    return SessionOrder(loading, sequences, seconds)


def collect(
    bench: Bench,
    networks: int,
    plan: MeasurementPlan,
    rng: random.Random,
    enough: Callable[[Timings], bool],
    progress: Callable[[float], None] = lambda _: None,
    before_session: Callable[[], None] = lambda: None,
) -> Timings:
    """Time networks session by session until `enough` holds or the plan's limits are reached.

    Args:
        bench: where the networks are.
        networks: number of networks.
        plan: limits of sessions, rounds and seconds.
        rng: draws the orders.
        enough: called after each session from `plan.sessions` on.
        progress: called after every round with the share of the allowed time that has passed.
        before_session: called before each session; its time is not counted.

    Raises:
        MeasurementError: see `Bench.run_session`.
    """
    started, builder, pauses = time.monotonic(), _TimingsBuilder(), [0.0]

    def elapsed() -> float:
        return time.monotonic() - started - sum(pauses)

    for session in range(plan.max_sessions):
        paused = time.monotonic()
        before_session()
        pauses.append(time.monotonic() - paused)
        opened = elapsed()
        # Each of the required sessions gets an equal share of the time.
        share = plan.max_seconds * min(1.0, (session + 1) / plan.sessions)
        order = draw_order(networks, plan.rounds, share - opened, rng)
        left = iter(order.rounds)

        def report(
            visits: Sequence[Visit], number: int = session, left: Iterator[Sequence[int]] = left
        ) -> None:
            builder.add(number, next(left), visits)
            progress(min(elapsed() / plan.max_seconds, 1.0))

        bench.run_session(order, report)
        now = elapsed()
        half_a_session = (now - opened) / 2
        if session + 1 >= plan.sessions and (
            now + half_a_session >= plan.max_seconds or enough(builder.build())
        ):
            break
    return builder.build()


def time_networks(
    bench: Bench,
    networks: int,
    plan: MeasurementPlan,
    rng: random.Random,
    enough: Callable[[Timings], bool],
    seconds: float,
    progress: Callable[[float], None],
    waiting: Waiting,
) -> tuple[Timings, MeasuredConditions]:
    """Time networks by a plan and watch the device meanwhile.

    Args:
        bench: where the networks are loaded.
        networks: number of networks.
        plan: a plan for networks that stay loaded; it gets the time that others need.
        rng: draws the orders.
        enough: see `collect`.
        seconds: limit for everything. What the plan leaves of it may be waited while the device is
            hot.
        progress: see `collect`.
        waiting: receives a sentence when the device is waited for.

    Raises:
        MeasurementError: see `Bench.run_session`.
    """
    plan = allow_loading(plan, bench.seconds_per_round)
    # The limit must be positive, because progress is a share of it.
    wanted = max(min(plan.max_seconds, seconds), 1e-3)
    plan = msgspec.structs.replace(plan, max_seconds=wanted)
    watch = ConditionsWatch(bench, waiting, seconds - wanted)
    timings = collect(bench, networks, plan, rng, enough, progress, watch.before_session)
    return timings, watch.finish()

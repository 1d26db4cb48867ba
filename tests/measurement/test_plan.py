"""Sessions and rounds: who is called when, what is timed, and when it ends."""

from __future__ import annotations

import random
import threading
import time
from functools import partial

import msgspec
import numpy as np
import pytest

from gnv2_nas.measurement.plan import MeasurementPlan, allow_pauses, collect
from gnv2_nas.runner.rounds import SessionOrder, run_session
from gnv2_nas.runner.timing import thread_timer

TWO_SESSIONS = MeasurementPlan(sessions=2, rounds=3, max_sessions=2)
VISIT = 2
"""Calls: one that warms, one that counts."""


def never(_):
    return False


def busy(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


class Functions:
    """A bench of functions."""

    def __init__(self, load):
        self.load = load
        self.sessions = 0

    def run_session(self, order, report):
        run_session(partial(self.load, self.sessions), thread_timer, order, report)
        self.sessions += 1


def collect_runs(runs, plan, seed=0, enough=never, **how):
    bench = Functions(lambda _, number: runs[number])
    return collect(bench, len(runs), plan, random.Random(seed), enough, **how)


def calls_of(count, plan=TWO_SESSIONS, seed=0):
    """(session, network) of every call, in order."""
    calls = []

    def load(session, number):
        return lambda: calls.append((session, number))

    return calls, collect(Functions(load), count, plan, random.Random(seed), never)


def test_every_round_visits_every_network_in_an_order_of_its_own():
    count = 6
    calls, timings = calls_of(count)
    of_session = count + VISIT * count * TWO_SESSIONS.rounds
    assert len(calls) == 2 * of_session
    orders = []
    for session in (0, 1):
        mine = calls[session * of_session : (session + 1) * of_session]
        assert {number for number, _ in mine} == {session}
        networks = [network for _, network in mine]
        assert sorted(networks[:count]) == list(range(count))
        for at in range(count, of_session, VISIT * count):
            called = networks[at : at + VISIT * count]
            orders.append(called[::VISIT])
            assert called == [network for network in orders[-1] for _ in range(VISIT)]
    assert timings.session.tolist() == [0, 0, 0, 1, 1, 1]
    assert len({tuple(order) for order in orders}) == len(orders) == timings.rounds
    # Where each visit stands in time is on the record.
    told = np.argsort(timings.order, axis=None)
    assert [int(at) // timings.rounds for at in told] == [n for order in orders for n in order]


def test_the_seed_decides_the_orders():
    one, same, other = (calls_of(6, seed=seed)[0] for seed in (1, 1, 2))
    assert one == same != other


def test_visits_are_rows_of_networks_in_the_order_given():
    milliseconds = [0, 4, 2]
    timings = collect_runs([lambda ms=ms: busy(ms * 1e-3) for ms in milliseconds], TWO_SESSIONS)
    assert timings.wall.shape == timings.busy.shape == timings.order.shape == (3, 6)
    best = timings.wall.min(axis=1)
    assert best[0] < 1e-3
    assert 2e-3 <= best[2] < 4e-3 <= best[1]


def test_the_second_call_of_a_visit_counts():
    state = iter([0, *(3, 0) * 6])
    timings = collect_runs(
        [lambda: busy(next(state) * 1e-3)], MeasurementPlan(rounds=6, max_sessions=1)
    )
    assert timings.first_wall.min() >= 3e-3
    assert timings.wall.min() < 2e-3


def test_waiting_is_wall_time_and_not_busy_time():
    wall, waited = thread_timer(lambda: threading.Event().wait(5e-3))
    assert wall >= 5e-3
    assert waited < 2.5e-3
    wall, worked = thread_timer(lambda: busy(5e-3))
    assert wall >= worked > 0


def test_another_threads_work_is_not_counted():
    def work() -> None:
        thread = threading.Thread(target=busy, args=(5e-3,))
        thread.start()
        thread.join()

    assert min(thread_timer(work)[1] for _ in range(3)) < 2.5e-3


def test_it_ends_when_enough_is_known_after_the_sessions_that_are_needed():
    asked = []

    def enough(timings):
        asked.append(timings.sessions)
        return timings.sessions >= 4

    plan = MeasurementPlan(sessions=2, rounds=2, max_sessions=9)
    timings = collect_runs([lambda: None] * 2, plan, enough=enough)
    assert asked == [2, 3, 4]
    assert (timings.sessions, timings.rounds) == (4, 8)


def test_it_ends_at_the_most_sessions():
    assert collect_runs([lambda: None], MeasurementPlan(rounds=1, max_sessions=3)).sessions == 3


def test_when_the_time_is_up_every_session_has_had_its_share():
    plan = MeasurementPlan(sessions=2, rounds=1000, max_seconds=0.2)
    timings = collect_runs([lambda: busy(2e-3)] * 2, plan)
    assert timings.sessions == 2
    first, second = np.bincount(timings.session)
    assert first > 1
    assert second > 1


def test_progress_grows_to_one_and_comes_every_round():
    shares = []
    plan = MeasurementPlan(sessions=2, rounds=1000, max_seconds=0.05)
    timings = collect_runs([lambda: busy(2e-3)], plan, progress=shares.append)
    assert len(shares) == timings.rounds
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] == 1


def test_an_error_of_a_network_is_not_swallowed():
    def broken():
        raise RuntimeError("no such operator")

    with pytest.raises(RuntimeError, match="no such operator"):
        collect_runs([lambda: None, broken], TWO_SESSIONS)


def test_with_a_pace_calls_begin_at_equal_distances():
    starts, pace = [], 4e-3
    order = SessionOrder([0], [[0]] * 4, 10.0)
    run_session(lambda _: lambda: starts.append(time.monotonic()), thread_timer, order,
                lambda _: None, pace)  # fmt: skip
    # The first call of the network only warms it up.
    assert min(np.diff(starts[1:])) >= pace
    assert len(starts) == 1 + VISIT * 4


@pytest.mark.parametrize(
    ("pace", "networks", "seconds"),
    [
        (None, 4, 30.0),  # without pauses, the time allowed is the plan's
        (1000.0, 4, 30.0),  # 120 rounds of 2 ms need less than that
        (30.0, 9, 9 * 5.0),  # 120 rounds take 8 s for each network: too long
        (60.0, 9, 9 * 4.0),  # 120 rounds
        (1.0, 2, 2 * 24.0),  # 12 rounds at least
    ],
)
def test_a_pace_gets_the_time_that_it_needs_within_bounds(pace, networks, seconds):
    plan = allow_pauses(MeasurementPlan(), networks, pace)
    assert plan.max_seconds == pytest.approx(seconds)
    assert msgspec.structs.replace(plan, max_seconds=30.0) == MeasurementPlan()

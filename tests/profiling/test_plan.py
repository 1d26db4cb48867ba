"""Rounds: who is called when, what is timed, and when it ends."""

from __future__ import annotations

import random
import threading
import time

import pytest

from gnv2_nas.profiling.plan import Plan, collect

FOUR_ROUNDS = Plan(min_rounds=4, max_rounds=4)
WARMING, TIMED = 1, 2


def never(_):
    return False


def busy(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def calls_of(count, plan, seed=0):
    """Which of `count` runs was called, in order."""
    calls = []
    runs = [lambda number=number: calls.append(number) for number in range(count)]
    samples = collect(runs, plan, random.Random(seed), never)
    return calls, samples


def test_every_round_calls_every_network_in_an_order_of_its_own():
    count = 6
    calls, samples = calls_of(count, FOUR_ROUNDS)
    assert calls[:count] == list(range(count))
    of_round = (WARMING + TIMED) * count
    rounds = [calls[at : at + of_round] for at in range(count, len(calls), of_round)]
    assert len(rounds) == samples.rounds == 4
    orders = [order[:: WARMING + TIMED] for order in rounds]
    for order, called in zip(orders, rounds, strict=True):
        assert sorted(order) == list(range(count))
        assert called == [number for number in order for _ in range(WARMING + TIMED)]
    assert len({tuple(order) for order in orders}) == 4


def test_the_seed_decides_the_orders():
    one, same, other = (calls_of(6, FOUR_ROUNDS, seed)[0] for seed in (1, 1, 2))
    assert one == same != other


def test_samples_are_rows_of_networks_in_the_order_given():
    milliseconds = [0, 4, 2]
    runs = [lambda ms=ms: busy(ms * 1e-3) for ms in milliseconds]
    samples = collect(runs, FOUR_ROUNDS, random.Random(0), never)
    assert samples.wall.shape == samples.cpu.shape == (3, 4)
    best = samples.wall.min(axis=1)
    assert best[0] < 1e-3
    assert 2e-3 <= best[2] < 4e-3 <= best[1]


@pytest.mark.parametrize(
    ("pattern", "low", "high"), [((0, 3, 3), 3, 99), ((3, 0, 3), 0, 2), ((3, 3, 0), 0, 2)]
)
def test_the_warming_call_is_not_timed_and_the_better_call_counts(pattern, low, high):
    state = iter([0, *pattern * 8])
    plan = Plan(min_rounds=8, max_rounds=8)
    samples = collect([lambda: busy(next(state) * 1e-3)], plan, random.Random(0), never)
    assert low * 1e-3 <= samples.wall.min() < high * 1e-3


def test_waiting_is_wall_time_and_not_processor_time():
    samples = collect([lambda: threading.Event().wait(3e-3)], FOUR_ROUNDS, random.Random(0), never)
    assert samples.wall.min() >= 3e-3
    assert samples.cpu.min() < 1.5e-3


def test_it_ends_when_enough_is_known_and_asks_in_steps():
    asked = []

    def enough(samples):
        asked.append(samples.rounds)
        return samples.rounds >= 16

    plan = Plan(min_rounds=6, max_rounds=100, check_every=4)
    samples = collect([lambda: None] * 2, plan, random.Random(0), enough)
    assert asked == [6, 10, 14, 18]
    assert samples.rounds == 18


def test_it_ends_at_the_most_rounds():
    plan = Plan(min_rounds=2, max_rounds=9, check_every=5)
    assert collect([lambda: None], plan, random.Random(0), never).rounds == 9


def test_it_ends_when_the_time_is_up_with_what_there_is():
    plan = Plan(min_rounds=100, max_rounds=100, max_seconds=0.02)
    samples = collect([lambda: busy(5e-3)] * 2, plan, random.Random(0), never)
    assert 1 <= samples.rounds < 100


def test_progress_grows_to_one_and_comes_every_round():
    shares = []
    plan = Plan(min_rounds=100, max_rounds=100, max_seconds=0.05)
    samples = collect([lambda: busy(2e-3)], plan, random.Random(0), never, shares.append)
    assert len(shares) == samples.rounds
    assert shares == sorted(shares)
    assert shares[0] >= 0
    assert shares[-1] == 1


def test_an_error_of_a_network_is_not_swallowed():
    def broken():
        raise RuntimeError("no such operator")

    with pytest.raises(RuntimeError, match="no such operator"):
        collect([lambda: None, broken], FOUR_ROUNDS, random.Random(0), never)

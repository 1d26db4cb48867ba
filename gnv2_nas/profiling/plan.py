"""The plan of a measurement: rounds over all networks in random order. Knows no runtime.

Every network is called in every round, so what the machine does to one round it does to all of
them; the order is drawn afresh each time, so no network always follows the same neighbour.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Run = Callable[[], object]
"""One inference, finished when it returns."""

TIMED_CALLS = 2
"""Per network and round, after one call that brings its weights back into the caches."""


class Plan(msgspec.Struct, frozen=True):
    """When a measurement has seen enough."""

    min_rounds: int = 15
    max_rounds: int = 400
    max_seconds: float = 30.0
    check_every: int = 5


class Samples(msgspec.Struct, frozen=True):
    """Seconds a call, arrays of (networks, rounds): the better of the timed calls of a round."""

    wall: NDArray[np.float64]
    cpu: NDArray[np.float64]

    @property
    def rounds(self) -> int:
        return int(self.wall.shape[1])


def collect(
    runs: Sequence[Run],
    plan: Plan,
    rng: random.Random,
    enough: Callable[[Samples], bool],
    progress: Callable[[float], None] = lambda _: None,
) -> Samples:
    """Time `runs` round by round until `enough` says so or the plan's limits are reached.

    Args:
        progress: called after every round with the share of the allowed time that has passed.
    """
    for run in runs:
        run()
    wall: list[list[float]] = []
    cpu: list[list[float]] = []
    started = time.monotonic()
    order = list(range(len(runs)))
    while True:
        rng.shuffle(order)
        timed = {number: _best_of(runs[number]) for number in order}
        wall.append([timed[number][0] for number in range(len(runs))])
        cpu.append([timed[number][1] for number in range(len(runs))])
        rounds = len(wall)
        spent = (time.monotonic() - started) / plan.max_seconds
        progress(min(spent, 1.0))
        finished = rounds >= plan.max_rounds or spent >= 1
        due = rounds >= plan.min_rounds and (rounds - plan.min_rounds) % plan.check_every == 0
        if finished or due:
            samples = Samples(np.array(wall).T, np.array(cpu).T)
            if finished or enough(samples):
                return samples


def _best_of(run: Run) -> tuple[float, float]:
    run()
    best_wall = best_cpu = float("inf")
    for _ in range(TIMED_CALLS):
        wall, cpu = time.perf_counter(), time.thread_time()
        run()
        best_cpu = min(best_cpu, time.thread_time() - cpu)
        best_wall = min(best_wall, time.perf_counter() - wall)
    return best_wall, best_cpu

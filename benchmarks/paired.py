"""Files of one network held against each other: shared rounds of one process."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gnv2_nas.measurement.plan import MeasurementPlan, collect
from gnv2_nas.measurement.statistics import estimate
from gnv2_nas.runtimes.base import Runtime, RuntimeFiles, Timer, thread_timer

Run = Callable[[], object]


class Paired(NamedTuple):
    """One row: time, and ratio to the first row with its 95 % interval."""

    ms: float
    ratio: float
    low: float
    high: float


def paired(
    loaders: Mapping[str, Callable[[], Run]],
    *,
    timer: Timer = thread_timer,
    sessions: int = 3,
    rounds: int = 30,
    seconds: float = 60,
) -> dict[str, Paired]:
    """Every entry's time against that of the first.

    Args:
        loaders: name → what loads it afresh and gives one inference. Called once a session, in an
            order drawn by lot: in OpenVINO what is loaded first is favoured.
        timer: the runtime's own, see `Runtime.timer`; the busy clock counts.
        seconds: when to stop before all rounds are done.
    """
    rng = random.Random(0)

    def open_session(_: int) -> list[Run]:
        loaded = {name: loaders[name]() for name in rng.sample(list(loaders), len(loaders))}
        return [loaded[name] for name in loaders]

    plan = MeasurementPlan(sessions, rounds, sessions, seconds)
    timings = collect(open_session, plan, timer, rng, lambda _: False)
    found = estimate(timings, {0: 0.0})
    rows = {}
    for number, name in enumerate(loaders):
        log_ratio, half = found.log_ratio[number], found.half[number]
        ratio = math.exp(log_ratio)
        ms = ratio * found.reference_seconds * 1e3
        rows[name] = Paired(ms, ratio, math.exp(log_ratio - half), math.exp(log_ratio + half))
    return rows


def loader(runtime: Runtime, files: RuntimeFiles) -> Callable[[], Run]:
    """What loads those files afresh, on one thread."""
    return lambda: runtime.load(files, 1).run

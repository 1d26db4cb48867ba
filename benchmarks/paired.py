"""Files of one network held against each other: shared rounds of one process."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gnv2_nas.measurement.plan import MeasurementPlan, collect
from gnv2_nas.measurement.statistics import estimate
from gnv2_nas.runner.rounds import RoundCallback, Run, SessionOrder, run_session
from gnv2_nas.runner.timing import RuntimeFiles, Timer, thread_timer
from gnv2_nas.runtimes.base import Runtime


class Loaders(NamedTuple):
    """A bench of functions that load networks."""

    load: Callable[[int], Run]
    timer: Timer = thread_timer

    def run_session(self, order: SessionOrder, report: RoundCallback) -> None:
        run_session(self.load, self.timer, order, report)


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
    loads = list(loaders.values())
    plan = MeasurementPlan(sessions, rounds, sessions, seconds)
    bench = Loaders(lambda number: loads[number](), timer)
    timings = collect(bench, len(loads), plan, random.Random(0), lambda _: False)
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

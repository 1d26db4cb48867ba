"""A network that runs on and on, as in an application: the first minute against the last."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from gnv2_nas.devices.conditions import Conditions
from gnv2_nas.devices.device import ClockName, Device
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.devices.host import Bench
from gnv2_nas.errors import MeasurementError
from gnv2_nas.formats.foreign.network import TimedNetwork
from gnv2_nas.measurement.batch import ProgressCallback
from gnv2_nas.measurement.conditions import ConditionsWatch, MeasuredConditions
from gnv2_nas.measurement.plan import CALLS_PER_VISIT
from gnv2_nas.measurement.reconnect import use_device
from gnv2_nas.measurement.records.record import Verdict
from gnv2_nas.runner.lock import DeviceLock, Waiting, ignore_waiting
from gnv2_nas.runner.rounds import SessionOrder, Visit
from gnv2_nas.stats.intervals import student_95

SESSION_SECONDS = 10.0
"""A session loads the network anew, so its place in memory does not decide a minute."""
SESSIONS_PER_MINUTE = 6
PROBING_SECONDS = 1.0
MAX_ROUNDS = 200_000
"""Of a session; the shortest inference takes longer than 25 µs."""
MARGIN = 0.02
"""Minutes that differ by less are the same: a network's sessions differ by as much."""
SECONDS_BETWEEN_REPORTS = 0.5
"""Reporting takes time in which the device rests."""


class Minute(msgspec.Struct, frozen=True):
    """About one minute of a network that runs on."""

    start: float
    """Seconds since the first call."""
    calls: int
    ms: float
    """Median milliseconds of a call."""
    p90_ms: float
    celsius: float | None
    """Highest temperature of the device at the ends of its sessions."""
    throttling: tuple[str, ...]
    """How the device was slowed down at these moments."""


class SustainedMeasurement(msgspec.Struct, frozen=True):
    """How a network's time changes while it runs on."""

    architecture: str
    """`Architecture.id` of the network."""
    device: str
    minutes: tuple[Minute, ...]
    ratio: float
    """Time of the last minute over that of the first."""
    ci95: tuple[float, float]
    """95 % interval of the ratio, from the sessions of the two minutes."""
    verdict: Verdict
    """Verdict on the last minute."""
    reason: str
    """What happened to the device; "" if nothing is known."""
    clock: ClockName
    pace: float | None
    """Calls a second; None for no pauses."""
    parity: float | None
    """See `Measurement`."""
    taken_at: str
    """ISO 8601, UTC."""
    fingerprint: Fingerprint
    conditions: MeasuredConditions


def measure_sustained(
    arch: TimedNetwork,
    device: Device,
    seconds: float,
    progress: ProgressCallback = lambda _: None,
    waiting: Waiting = ignore_waiting,
) -> SustainedMeasurement:
    """Run a network for some minutes, at the device's pace if it has one.

    Args:
        arch: the network.
        device: an open device; it need not be calibrated, because nothing is compared with others.
        seconds: how long; at least two minutes.
        progress: receives the share of the time that has passed.
        waiting: receives a sentence when another process uses the machine, or the device is hot.

    Raises:
        MeasurementError: the runtime refused the network, or its results differ from torch's.
    """
    host = device.host
    with DeviceLock.shared(waiting):
        files = [device.write(arch)]
        device.expected_logits(arch)

    parity: float | None = None

    def load() -> Bench:
        nonlocal parity
        bench = host.open_bench(files)
        parity = device.check(arch, bench.load(0))
        return bench

    def run_on(bench: Bench) -> tuple[_Run, MeasuredConditions]:
        watch = ConditionsWatch(bench, waiting)
        watch.before_session()
        run = _Run(bench, device, watch, seconds, progress)
        run.measure()
        return run, watch.finish()

    run, conditions = use_device(host, waiting, load, run_on)
    ratio, ci95, verdict = compare_minutes(run.levels)
    return SustainedMeasurement(
        architecture=arch.id,
        device=device.name,
        minutes=tuple(run.minutes),
        ratio=ratio,
        ci95=ci95,
        verdict=verdict,
        reason=conditions.reason,
        clock=device.clock,
        pace=device.profile.pace,
        parity=parity,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=device.fingerprint(),
        conditions=conditions,
    )


def compare_minutes(
    levels: Sequence[float],
) -> tuple[float, tuple[float, float], Verdict]:
    """Compare the last minute with the first.

    Args:
        levels: log time of each session, at least four.

    Returns:
        Ratio of the last minute to the first, its 95 % interval by Welch's t, and the verdict.
    """
    count = min(SESSIONS_PER_MINUTE, len(levels) // 2)
    first, last = np.array(levels[:count]), np.array(levels[-count:])
    errors = [float(each.var(ddof=1)) / count for each in (first, last)]
    error = sum(errors)
    squares = sum(each**2 for each in errors)
    freedom = (count - 1) * error**2 / squares if squares else 2.0 * (count - 1)
    half = student_95(max(int(freedom), 1)) * math.sqrt(error)
    difference = float(last.mean() - first.mean())
    low, high = difference - half, difference + half
    return math.exp(difference), (math.exp(low), math.exp(high)), _verdict(low, high)


def _verdict(low: float, high: float) -> Verdict:
    if low > MARGIN or high < -MARGIN:
        return "SLOWER" if low > 0 else "FASTER"
    return "SAME" if low >= -MARGIN and high <= MARGIN else "CANNOT TELL"


class _Run:
    """Sessions one after the other; it keeps the calls of one minute only."""

    def __init__(
        self,
        bench: Bench,
        device: Device,
        watch: ConditionsWatch,
        seconds: float,
        progress: ProgressCallback,
    ) -> None:
        self._bench, self._watch, self._progress = bench, watch, progress
        self._seconds, self._pace = seconds, device.profile.pace
        self._column = 0 if device.clock == "wall" else 1
        self.levels: list[float] = []
        """Log of the median time of each session."""
        self.minutes: list[Minute] = []

    def measure(self) -> None:
        """Run sessions until the time is over."""
        visit = self._probe()
        self._started = self._reported = time.monotonic()
        calls, looks, began = array("d"), list[Conditions](), 0.0
        for session in range(1, round(self._seconds / SESSION_SECONDS) + 1):
            left = session * SESSION_SECONDS - (time.monotonic() - self._started)
            done = self._run_session(left, math.ceil(1.5 * left / visit))
            self.levels.append(math.log(np.median(done)))
            calls.extend(done)
            looks.append(self._watch.look())
            if len(looks) == SESSIONS_PER_MINUTE:
                self.minutes.append(_summarize(began, np.array(calls), looks))
                calls, looks, began = array("d"), [], time.monotonic() - self._started
        if looks:
            self.minutes.append(_summarize(began, np.array(calls), looks))

    def _probe(self) -> float:
        """Return about how many seconds a visit takes."""
        if self._pace is not None:
            return CALLS_PER_VISIT / self._pace
        self._reported = math.inf  # probing is no progress
        rounds = self._run_session(PROBING_SECONDS, 100)
        return CALLS_PER_VISIT * float(np.median(rounds))

    def _run_session(self, seconds: float, rounds: int) -> array[float]:
        times, column = array("d"), self._column

        def report(visits: Sequence[Visit]) -> None:
            ((*both,),) = visits
            times.extend((both[column], both[column + CALLS_PER_VISIT]))
            now = time.monotonic()
            if now - self._reported >= SECONDS_BETWEEN_REPORTS:
                self._reported = now
                self._progress(min((now - self._started) / self._seconds, 1.0))

        rounds = min(max(rounds, 1), MAX_ROUNDS)
        self._bench.run_session(SessionOrder((0,), [(0,)] * rounds, seconds), report)
        if not min(times) > 0:
            raise MeasurementError("the clock is too coarse here: a call took 0 seconds")
        return times


def _summarize(start: float, calls: NDArray[np.float64], looks: Sequence[Conditions]) -> Minute:
    hottest = [max(look.temperatures.values()) for look in looks if look.temperatures]
    return Minute(
        start=round(start, 1),
        calls=len(calls),
        ms=round(float(np.median(calls)) * 1e3, 5),
        p90_ms=round(float(np.percentile(calls, 90)) * 1e3, 5),
        celsius=max(hottest, default=None),
        throttling=tuple(dict.fromkeys(kind for look in looks for kind in look.throttling)),
    )

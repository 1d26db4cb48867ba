"""Why an interval is wider than was asked for, in words; and tail latencies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.devices.device import Device
from gnv2_nas.measurement.plan import Timings
from gnv2_nas.measurement.record import MIN_ROUNDS
from gnv2_nas.measurement.statistics import Estimates, preempted_share

ENOUGH = {"p90": (90, 64), "p95": (95, 130), "p99": (99, 662)}
"""Name → percentile and how many calls it takes, by MLPerf Inference's early-stopping rule."""


def percentiles(milliseconds: NDArray[np.float64]) -> dict[str, float]:
    """Those of p90, p95 and p99 that the sample is large enough for."""
    return {
        name: round(float(np.percentile(milliseconds, percent)), 5)
        for name, (percent, enough) in ENOUGH.items()
        if len(milliseconds) >= enough
    }


PREEMPTED = 0.1
DRIFT = 0.1
THROTTLED = 1.25


def explain_instability(
    timings: Timings, estimates: Estimates, row: int, precision: float, device: Device
) -> str:
    """The reason in one line; "" when the interval of that network is narrow enough."""
    if timings.rounds < MIN_ROUNDS:
        return (
            f"only {timings.rounds} rounds in the time allowed, too few for an interval: "
            f"{MIN_ROUNDS} are needed"
        )
    half = float(estimates.narrowable[row])
    if half <= precision:
        return ""
    return (
        f"interval ±{half:.1%} after {timings.rounds} rounds in {timings.sessions} sessions, "
        f"±{precision:.1%} asked for: {_cause(timings, estimates, row, device)}"
    )


def _cause(timings: Timings, estimates: Estimates, row: int, device: Device) -> str:
    waited = preempted_share(timings.wall[row], timings.busy[row])
    if device.clock != "device" and device.profile.threads == 1 and waited > PREEMPTED:
        return f"{waited:.0%} of the calls waited for the processor (preemption)"
    if short := device.profile.shortage():
        return f"{short}: they wait for each other"
    known = device.calibration
    slowed = 1.0 if known is None else estimates.reference_seconds * 1e3 / known.reference_ms
    if slowed > THROTTLED:
        return f"the machine runs {slowed:.1f} times slower than when calibrated (throttling)"
    drifted = _drift(timings)
    if abs(drifted) > DRIFT:
        return f"the machine's speed changed by {abs(drifted):.0%} meanwhile (drift)"
    if estimates.own[row] > estimates.own_sessions[row]:
        return "too few rounds for this much noise"
    return f"fresh sessions differ by {estimates.spread[row]:.1%} (too few of them)"


def _drift(timings: Timings) -> float:
    """Log of how much slower the last third of the rounds was than the first, all networks."""
    by_round = np.median(np.log(timings.busy), axis=0)
    third = max(len(by_round) // 3, 1)
    return float(np.median(by_round[-third:]) - np.median(by_round[:third]))

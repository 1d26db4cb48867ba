"""Reasons for an interval that is wider than requested, and tail latencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.devices.device import Device
from gnv2_nas.measurement.plan import Timings
from gnv2_nas.measurement.records.record import MIN_ROUNDS
from gnv2_nas.measurement.statistics import Estimates, preempted_share

PERCENTILES = {"p90": (90, 64), "p95": (95, 130), "p99": (99, 662)}
"""Name → percentile and minimum number of calls, by MLPerf Inference's early-stopping rule."""
MAX_PREEMPTED = 0.1
MAX_DRIFT = 0.1
MAX_SLOWDOWN = 1.25


def compute_percentiles(milliseconds: NDArray[np.float64]) -> dict[str, float]:
    """Return those of p90, p95 and p99 that the sample is large enough for."""
    return {
        name: round(float(np.percentile(milliseconds, percent)), 5)
        for name, (percent, calls) in PERCENTILES.items()
        if len(milliseconds) >= calls
    }


def explain_instability(
    timings: Timings, estimates: Estimates, row: int, precision: float, device: Device
) -> str:
    """Return in one line why a network's interval is too wide; "" if it is narrow enough."""
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
        f"±{precision:.1%} requested: {find_cause(timings, estimates, row, device)}"
    )


def list_doubts(changes: Sequence[str], rounds: int) -> tuple[str, ...]:
    """Return why nothing follows from the times of a comparison, as clauses; () if something does.

    Args:
        changes: what happened to the device meanwhile, as clauses.
        rounds: number of rounds.
    """
    few = f"only {rounds} rounds in the time allowed; {MIN_ROUNDS} are needed"
    return (*changes, few) if rounds < MIN_ROUNDS else tuple(changes)


def find_cause(timings: Timings, estimates: Estimates, row: int, device: Device) -> str:
    """Return the most likely cause of a wide interval."""
    waited = preempted_share(timings.wall[row], timings.busy[row])
    if device.clock != "device" and device.profile.threads == 1 and waited > MAX_PREEMPTED:
        return f"{waited:.0%} of the calls waited for the processor (preemption)"
    if short := device.profile.shortage():
        return f"{short}: they wait for each other"
    known = device.calibration
    slowed = 1.0 if known is None else estimates.reference_seconds * 1e3 / known.reference_ms
    if slowed > MAX_SLOWDOWN:
        return f"the machine runs {slowed:.1f} times slower than when calibrated (throttling)"
    drift = _drift(timings)
    if abs(drift) > MAX_DRIFT:
        return f"the machine's speed changed by {abs(drift):.0%} during the measurement (drift)"
    if estimates.own[row] > estimates.own_sessions[row]:
        return "too few rounds for this much noise"
    return f"fresh sessions differ by {estimates.spread[row]:.1%} (too few of them)"


def _drift(timings: Timings) -> float:
    """Return the log of the last third's time over the first third's, from all networks."""
    by_round = np.median(np.log(timings.busy), axis=0)
    third = max(len(by_round) // 3, 1)
    return float(np.median(by_round[-third:]) - np.median(by_round[:third]))

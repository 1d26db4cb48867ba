"""Is one network faster than another, is it within a budget? With "cannot tell" as an answer."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

from gnv2_nas.profiling.record import FEWEST_ROUNDS, NORMAL_95, Measurement

THOROUGH: dict[str, Any] = {"precision": 0.004, "seconds_per_network": 5.0, "sessions": 4}
"""Arguments of `measure` that tell networks 3 % apart on a noisy machine."""

Verdict = Literal["FASTER", "SLOWER", "SAME", "CANNOT TELL"]
BudgetVerdict = Literal["met", "broken", "cannot tell"]


class Comparison(msgspec.Struct, frozen=True):
    """One network against another on the same device."""

    ratio: float
    """First over second; less is faster."""
    ci95: tuple[float, float]
    margin: float
    """How far apart, in logs, a network is from itself in other sessions on this device, 19
    times of 20: closer than that, two networks are not told apart."""
    verdict: Verdict
    """Of the first. FASTER and SLOWER: farther apart than the margin, whatever the rounds' noise.
    SAME: no farther apart than the margin, and the rounds would have shown more."""


def compare(first: Measurement, second: Measurement) -> Comparison:
    """Compare two measurements of one device; of one batch they compare most sharply.

    Of fewer than `FEWEST_ROUNDS` rounds nothing can be told.

    Raises:
        ValueError: they were taken on different devices or runtimes.
    """
    for field in ("device", "runtime", "threads", "precision"):
        one, other = getattr(first, field), getattr(second, field)
        if one != other:
            raise ValueError(f"measurements of one {field} compare, but got {one!r} and {other!r}")
    mine, theirs = first.errors, second.errors
    rounds = [mine.own, theirs.own]
    if first.batch != second.batch:
        # Of the calibration's error, what two networks have in common cancels.
        rounds += [mine.panel, theirs.panel, mine.calibration - theirs.calibration]
    noise = NORMAL_95 * math.hypot(*rounds)
    margin = NORMAL_95 * math.hypot(mine.own_sessions, theirs.own_sessions)
    ratio = first.ratio / second.ratio
    half = math.hypot(noise, margin)
    few = min(first.rounds, second.rounds) < FEWEST_ROUNDS
    return Comparison(
        ratio=ratio,
        ci95=(ratio * math.exp(-half), ratio * math.exp(half)),
        margin=margin,
        verdict="CANNOT TELL" if few else _verdict(math.log(ratio), noise, margin),
    )


def _verdict(apart: float, noise: float, margin: float) -> Verdict:
    if abs(apart) - noise > margin:
        return "FASTER" if apart < 0 else "SLOWER"
    if abs(apart) <= margin and noise <= margin:
        return "SAME"
    return "CANNOT TELL"


def check_budget(measurement: Measurement, limit_ms: float) -> BudgetVerdict:
    """Whether a latency is within a limit: its whole interval decides, where there are rounds
    enough for one."""
    if measurement.rounds < FEWEST_ROUNDS:
        return "cannot tell"
    low, high = measurement.ci95
    if high <= limit_ms:
        return "met"
    return "broken" if low > limit_ms else "cannot tell"

"""Compare measurements, check them against a budget, and pool them.

Each verdict can be "cannot tell".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import msgspec

from gnv2_nas.measurement.record import MIN_ROUNDS, ErrorParts, Measurement
from gnv2_nas.stats.intervals import Z95

Verdict = Literal["FASTER", "SLOWER", "SAME", "CANNOT TELL"]
BudgetVerdict = Literal["met", "broken", "cannot tell"]


class Comparison(msgspec.Struct, frozen=True):
    """One network against another on the same device."""

    ratio: float
    """First over second; below 1 the first is faster."""
    ci95: tuple[float, float]
    margin: float
    """95 % half-width, in logs, of the difference between two sessions of one network on this
    device. Networks closer than that cannot be told apart."""
    verdict: Verdict
    """Verdict on the first network. FASTER and SLOWER: the difference exceeds the margin beyond the
    noise of the rounds. SAME: it is within the margin, and the noise is smaller than the margin."""


def compare(first: Measurement, second: Measurement) -> Comparison:
    """Compare two measurements of one device.

    The comparison is sharpest within a batch. With fewer than `MIN_ROUNDS` rounds the verdict is
    "CANNOT TELL".

    Raises:
        ValueError: the measurements come from different devices or runtimes.
    """
    for field in ("device", "runtime", "threads", "precision"):
        one, other = getattr(first, field), getattr(second, field)
        if one != other:
            raise ValueError(f"measurements of one {field} compare, but got {one!r} and {other!r}")
    mine, theirs = first.errors, second.errors
    rounds = [mine.own, theirs.own]
    if first.batch != second.batch:
        # The calibration's error cancels as far as the two networks share it.
        rounds += [mine.panel, theirs.panel, mine.calibration - theirs.calibration]
    noise = Z95 * math.hypot(*rounds)
    margin = Z95 * math.hypot(mine.own_sessions, theirs.own_sessions)
    ratio = first.ratio / second.ratio
    half = math.hypot(noise, margin)
    few = min(first.rounds, second.rounds) < MIN_ROUNDS
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
    """Check a latency against a limit; "met" and "broken" need the whole interval on one side."""
    if measurement.rounds < MIN_ROUNDS:
        return "cannot tell"
    low, high = measurement.ci95
    if high <= limit_ms:
        return "met"
    return "broken" if low > limit_ms else "cannot tell"


def pool(first: Measurement, second: Measurement) -> Measurement:
    """Pool two measurements of one network: the weighted mean of their log ratios.

    Each weight is the inverse of the variance that measuring again reduces. The errors of rounds,
    sessions and panels are independent and shrink. The errors of the calibration and of the
    reference's milliseconds are the same in both and do not. All other fields come from `second`,
    but the pooled batch is shared with no other measurement.

    Raises:
        ValueError: the measurements are of different networks.
    """
    if first.architecture != second.architecture:
        raise ValueError(
            f"measurements of one network pool, but got {first.architecture} and "
            f"{second.architecture}"
        )
    both = (first, second)
    weights = [1 / max(_variance(each), 1e-12) for each in both]
    shares = [weight / sum(weights) for weight in weights]

    def independent(part: Callable[[Measurement], float]) -> float:
        return math.hypot(*(share * part(each) for share, each in zip(shares, both, strict=True)))

    def shared(part: Callable[[Measurement], float]) -> float:
        return sum(share * part(each) for share, each in zip(shares, both, strict=True))

    errors = ErrorParts(
        own=independent(lambda each: each.errors.own),
        own_sessions=independent(lambda each: each.errors.own_sessions),
        panel=independent(lambda each: each.errors.panel),
        calibration=shared(lambda each: each.errors.calibration),
    )
    half = math.hypot(Z95 / math.sqrt(sum(weights)), Z95 * errors.calibration)
    ratio = math.exp(shared(lambda each: math.log(each.ratio)))
    ms = ratio * second.ms / second.ratio
    down = math.hypot(half, shared(lambda each: _beyond_ratio(each, 0)))
    up = math.hypot(half, shared(lambda each: _beyond_ratio(each, 1)))
    return msgspec.structs.replace(
        second,
        ratio=ratio,
        ratio_ci95=(ratio * math.exp(-half), ratio * math.exp(half)),
        ms=ms,
        ci95=(ms * math.exp(-down), ms * math.exp(up)),
        rounds=first.rounds + second.rounds,
        sessions=first.sessions + second.sessions,
        stable=first.stable or second.stable,
        reason="" if first.stable or second.stable else second.reason,
        errors=errors,
        batch=f"{first.batch}+{second.batch}",
    )


def _variance(measurement: Measurement) -> float:
    """Return the variance of the log ratio, from its interval, without the calibration's part."""
    low, high = measurement.ratio_ci95
    whole = (math.log(high / low) / (2 * Z95)) ** 2
    return max(whole - measurement.errors.calibration**2, 0.0)


def _beyond_ratio(measurement: Measurement, side: int) -> float:
    """Return the part of the milliseconds' interval, in logs, that the ratio's does not explain."""
    whole = math.log(measurement.ci95[side] / measurement.ms)
    ratio = math.log(measurement.ratio_ci95[side] / measurement.ratio)
    return math.sqrt(max(whole**2 - ratio**2, 0.0))

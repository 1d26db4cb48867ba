"""Comparing and pooling measurements: faster or not, within a budget or not, or "cannot tell"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from gnv2_nas.measurement.record import MIN_ROUNDS, ErrorParts, Measurement
from gnv2_nas.stats.intervals import Z95

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

    Of fewer than `MIN_ROUNDS` rounds nothing can be told.

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
    """Whether a latency is within a limit: its whole interval decides, where there are rounds
    enough for one."""
    if measurement.rounds < MIN_ROUNDS:
        return "cannot tell"
    low, high = measurement.ci95
    if high <= limit_ms:
        return "met"
    return "broken" if low > limit_ms else "cannot tell"


def pool(first: Measurement, second: Measurement) -> Measurement:
    """The mean of two log ratios, each weighted by the inverse of what measuring again narrows.

    Errors of rounds, sessions and panels are independent. That of the calibration is one and the
    same in both, as is that of the reference's milliseconds: pooled, they are as large as before.
    Everything else is what `second` says; it was taken in other sessions, and its batch is no
    batch that others belong to.

    Raises:
        ValueError: they are of two networks.
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
    """Of the log of the ratio, from its interval, without the part that is shared."""
    low, high = measurement.ratio_ci95
    whole = (math.log(high / low) / (2 * Z95)) ** 2
    return max(whole - measurement.errors.calibration**2, 0.0)


def _beyond_ratio(measurement: Measurement, side: int) -> float:
    """By how much, in logs, the interval of the milliseconds is wider than that of the ratio."""
    whole = math.log(measurement.ci95[side] / measurement.ms)
    ratio = math.log(measurement.ratio_ci95[side] / measurement.ratio)
    return math.sqrt(max(whole**2 - ratio**2, 0.0))

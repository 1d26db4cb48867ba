"""One latency from two measurements of the same network."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from gnv2_nas.profiling.record import NORMAL_95, Errors, Measurement


def pooled(first: Measurement, second: Measurement) -> Measurement:
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

    errors = Errors(
        own=independent(lambda each: each.errors.own),
        own_sessions=independent(lambda each: each.errors.own_sessions),
        panel=independent(lambda each: each.errors.panel),
        calibration=shared(lambda each: each.errors.calibration),
    )
    half = math.hypot(NORMAL_95 / math.sqrt(sum(weights)), NORMAL_95 * errors.calibration)
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
    whole = (math.log(high / low) / (2 * NORMAL_95)) ** 2
    return max(whole - measurement.errors.calibration**2, 0.0)


def _beyond_ratio(measurement: Measurement, side: int) -> float:
    """By how much, in logs, the interval of the milliseconds is wider than that of the ratio."""
    whole = math.log(measurement.ci95[side] / measurement.ms)
    ratio = math.log(measurement.ratio_ci95[side] / measurement.ratio)
    return math.sqrt(max(whole**2 - ratio**2, 0.0))

"""One latency from two measurements of the same network."""

from __future__ import annotations

import math

import msgspec

from gnv2_nas.profiling.record import NORMAL_95, Errors, Measurement


def pooled(first: Measurement, second: Measurement) -> Measurement:
    """The mean of two log ratios, each weighted by its inverse variance.

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
    weights = [1 / max(_variance(each), 1e-12) for each in (first, second)]
    shares = [weight / sum(weights) for weight in weights]
    ratio = math.exp(shares[0] * math.log(first.ratio) + shares[1] * math.log(second.ratio))
    parts = [
        [share * getattr(each.errors, part) for part in Errors.__struct_fields__]
        for share, each in zip(shares, (first, second), strict=True)
    ]
    errors = Errors(*(math.hypot(*both) for both in zip(*parts, strict=True)))
    half = NORMAL_95 / math.sqrt(sum(weights))
    reference_ms = second.ms / second.ratio
    low, high = ratio * math.exp(-half), ratio * math.exp(half)
    return msgspec.structs.replace(
        second,
        ratio=ratio,
        ratio_ci95=(low, high),
        ms=ratio * reference_ms,
        ci95=(low * reference_ms, high * reference_ms),
        rounds=first.rounds + second.rounds,
        sessions=first.sessions + second.sessions,
        stable=first.stable or second.stable,
        reason="" if first.stable or second.stable else second.reason,
        errors=errors,
        batch=f"{first.batch}+{second.batch}",
    )


def _variance(measurement: Measurement) -> float:
    """Of the log of the ratio, from its interval."""
    low, high = measurement.ratio_ci95
    return (math.log(high / low) / (2 * NORMAL_95)) ** 2

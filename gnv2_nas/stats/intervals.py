"""Confidence intervals of shares, and the quantiles that they use."""

from __future__ import annotations

import math

Z95 = 1.96
"""Standard errors on either side of an estimate in a 95 % interval, rounded as is usual. Stored
measurements hold intervals of this width."""


def wilson_interval(correct: float, total: float) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a share, within 0 and 1 (JASA 22, 1927).

    Unlike share ± standard error, it has a positive width at a share of 0 or 1. For an accuracy it
    covers the choice of held-out images, not the randomness of training.

    Args:
        correct: observations that count, at most `total`.
        total: independent observations. Neither number need be whole.
    """
    if total == 0:
        return 0.0, 1.0
    share, square = correct / total, Z95**2
    centre = (share + square / (2 * total)) / (1 + square / total)
    half = Z95 * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    half /= 1 + square / total
    return max(0.0, centre - half), min(1.0, centre + half)


def student_95(freedom: int, terms: int = 3) -> float:
    """Return the 95 % quantile of Student's t (Abramowitz & Stegun, 26.7.5).

    Args:
        freedom: degrees of freedom; three terms are within 1 % from 3 degrees on.
        terms: terms of the expansion after the normal quantile, 2 or 3.
    """
    z = Z95
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    return z + first + second + (third if terms > 2 else 0.0)

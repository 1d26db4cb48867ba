"""How sure a share of so many images is."""

from __future__ import annotations

import math

_Z = 1.959963984540054
"""Quantile of the normal distribution that 95% lie within."""


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """95% interval of an accuracy, 0 to 1: Wilson's score interval (JASA 22, 1927).

    Unlike accuracy ± standard error it stays within 0 and 1, and has a width where all answers
    are right. It is about which images were held out, not about the luck of training.
    """
    if total == 0:
        return 0.0, 1.0
    share, square = correct / total, _Z**2
    centre = (share + square / (2 * total)) / (1 + square / total)
    half = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    half /= 1 + square / total
    return max(0.0, centre - half), min(1.0, centre + half)

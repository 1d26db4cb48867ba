"""Kendall's rank correlation: how far a score orders networks like another number.

Written out, because the report asks for it and importing scipy.stats takes a second.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby


def kendall_tau(x: Sequence[float], y: Sequence[float]) -> float:
    """τ-b of the pairs (x, y): 1 same order, 0 unrelated, -1 opposite; ties are allowed for.

    Knight's method (JASA 61, 1966): in order of x, a discordant pair is an inversion of y.
    Pairs with a NaN are left out; NaN when fewer than two remain or one side is constant.
    """
    pairs = sorted(
        pair for pair in zip(x, y, strict=True) if not (math.isnan(pair[0]) or math.isnan(pair[1]))
    )
    total = _pairs_among(len(pairs))
    tied_x = _tied_pairs(pair[0] for pair in pairs)
    tied_y = _tied_pairs(sorted(pair[1] for pair in pairs))
    tied_both = _tied_pairs(pairs)
    if tied_x == total or tied_y == total:
        return math.nan
    concordant_less_discordant = (
        total - tied_x - tied_y + tied_both - 2 * _inversions([pair[1] for pair in pairs])
    )
    return concordant_less_discordant / math.sqrt((total - tied_x) * (total - tied_y))


def _pairs_among(count: int) -> int:
    return count * (count - 1) // 2


def _tied_pairs(ordered: Iterable[Hashable]) -> int:
    return sum(_pairs_among(sum(1 for _ in equal)) for _, equal in groupby(ordered))


def _inversions(values: Sequence[float]) -> int:
    """Pairs whose first value is greater than the second."""
    seen: list[float] = []
    inversions = 0
    for value in values:
        place = bisect.bisect_right(seen, value)
        inversions += len(seen) - place
        seen.insert(place, value)
    return inversions

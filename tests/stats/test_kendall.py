""""""

from __future__ import annotations

import math
import random
from itertools import combinations

import pytest

from gnv2_nas.stats.rank_agreement import kendall_tau


def by_definition(x: list[float], y: list[float]) -> float:
    def sign(value: float) -> int:
        return (value > 0) - (value < 0)

    signs = [(sign(x[i] - x[j]), sign(y[i] - y[j])) for i, j in combinations(range(len(x)), 2)]
    agreement = sum(a * b for a, b in signs)
    return agreement / math.sqrt(sum(a * a for a, _ in signs) * sum(b * b for _, b in signs))


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_the_definition_also_with_ties(seed: int) -> None:
    rng = random.Random(seed)
    x = [float(rng.randrange(8)) for _ in range(40)]
    y = [value + rng.randrange(6) for value in x]
    assert kendall_tau(x, y) == pytest.approx(by_definition(x, y), abs=1e-12)


def test_extremes() -> None:
    rising = [1.0, 2.0, 3.0]
    assert kendall_tau(rising, rising) == 1
    assert kendall_tau(rising, rising[::-1]) == -1


def test_nothing_to_compare_is_nan() -> None:
    assert math.isnan(kendall_tau([], []))
    assert math.isnan(kendall_tau([1.0], [2.0]))
    assert math.isnan(kendall_tau([1.0, 1.0], [2.0, 3.0]))


def test_pairs_with_nan_are_left_out() -> None:
    assert kendall_tau([1.0, math.nan, 2.0], [1.0, 0.0, 5.0]) == 1


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="zip"):
        kendall_tau([1.0], [])

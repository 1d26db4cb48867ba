"""The volume a front dominates: held against formulas, counting and the definition."""

from __future__ import annotations

import math
import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gnv2_nas.search.analysis.pareto import hypervolume, hypervolume_gain, is_non_dominated

Losses = NDArray[np.float64]


@st.composite
def losses(draw: st.DrawFn, most: int = 7, objectives: int = 5) -> Losses:
    """Up to `most` rows on a coarse grid, so that ties and duplicates are frequent; the reference
    of the tests is 4, so that some rows do not improve on it."""
    k = draw(st.integers(1, objectives))
    row = st.lists(st.integers(0, 5), min_size=k, max_size=k)
    rows = draw(st.lists(row, max_size=most))
    return np.array(rows, float).reshape(len(rows), k)


def reference(points: Losses) -> Losses:
    return np.full(points.shape[1], 4.0)


def union_of_boxes(points: Losses) -> float:
    """Inclusion and exclusion over every subset: the definition of the volume of a union."""
    corner, total = reference(points), 0.0
    for size in range(1, len(points) + 1):
        for chosen in combinations(points, size):
            sides = np.maximum(corner - np.max(chosen, axis=0), 0)
            total -= (-1) ** size * float(np.prod(sides))
    return total


@given(losses())
def test_it_is_the_volume_of_the_union_of_boxes(points: Losses) -> None:
    assert hypervolume(points, reference(points)) == pytest.approx(union_of_boxes(points))


@given(losses(most=12), st.randoms())
def test_order_does_not_matter(points: Losses, rng: random.Random) -> None:
    shuffled = list(points)
    rng.shuffle(shuffled)
    again = np.array(shuffled).reshape(points.shape)
    assert hypervolume(again, reference(points)) == pytest.approx(
        hypervolume(points, reference(points))
    )


@given(losses(most=12))
def test_dominated_rows_add_nothing(points: Losses) -> None:
    front = points[is_non_dominated(points)]
    whole = hypervolume(points, reference(points))
    assert hypervolume(front, reference(points)) == pytest.approx(whole)
    assert hypervolume(np.vstack([points, points + 1]), reference(points)) == pytest.approx(whole)


@given(losses(most=12))
def test_a_gain_is_what_one_more_row_adds(points: Losses) -> None:
    if not len(points):
        return
    corner, before = reference(points), hypervolume(points[1:], reference(points))
    gain = hypervolume_gain(points[0], points[1:], corner)
    assert gain >= 0
    assert before + gain == pytest.approx(hypervolume(points, corner))


@given(losses(most=1, objectives=5))
def test_one_row_is_a_box(points: Losses) -> None:
    expected = math.prod(max(0.0, 4 - value) for value in points[0]) if len(points) else 0.0
    assert hypervolume(points, reference(points)) == expected


@given(st.lists(st.integers(-9, 9), min_size=1))
def test_one_objective_is_the_best_row(values: list[int]) -> None:
    points = np.array(values, float)[:, None]
    assert hypervolume(points, np.array([5.0])) == max(0, 5 - min(values))


def test_a_staircase() -> None:
    """Three steps, 3 + 2 + 1 squares less what they share."""
    points = np.array([[1, 3], [2, 2], [3, 1]], float)
    assert hypervolume(points, np.array([4.0, 4.0])) == 6


@pytest.mark.parametrize("objectives", [2, 3, 4, 5])
def test_a_large_front_agrees_with_counting(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    points = 1 - rng.dirichlet(np.ones(objectives), 60) ** 0.5
    thrown = rng.random((40_000, objectives))
    covered = np.zeros(len(thrown), bool)
    for point in points:
        covered |= (thrown >= point).all(axis=1)
    error = 4 * math.sqrt(0.25 / len(thrown))
    assert hypervolume(points, np.ones(objectives)) == pytest.approx(covered.mean(), abs=error)


def test_what_was_not_measured_counts_nothing() -> None:
    points = np.array([[1, 1], [math.nan, 0], [0, 2]], float)
    assert hypervolume(points, np.array([2.0, 2.0])) == 1


@pytest.mark.parametrize(
    ("points", "corner", "said"),
    [
        (np.zeros((3, 2)), np.zeros(3), r"got \(3, 2\) and \(3,\)"),
        (np.zeros(3), np.zeros(3), r"got \(3,\) and \(3,\)"),
        (np.zeros((3, 0)), np.zeros(0), r"k >= 1"),
        (np.zeros((1, 2)), np.array([1, math.inf]), "must be finite"),
    ],
)
def test_what_has_no_hypervolume_is_refused(points: Losses, corner: Losses, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        hypervolume(points, corner)

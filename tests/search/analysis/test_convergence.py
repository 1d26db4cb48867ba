"""Hypervolume over evaluations, what is left to gain, and when a search is flat."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from gnv2_nas.search.analysis.convergence import (
    accumulate_hypervolume,
    estimate_gain,
    hypervolume_history,
    is_flat,
    scale_losses,
)
from gnv2_nas.search.analysis.pareto import hypervolume
from gnv2_nas.search.study.records import Trial
from tests.report.studies import candidate, found_architecture

Array = NDArray[np.float64]
Search = Callable[[np.random.Generator, int], Array]
TWO = ("quality", "latency")
SHAPES = st.tuples(st.integers(0, 12), st.integers(1, 4))
GRID = st.integers(-1, 12).map(lambda tenths: tenths / 10 if tenths >= 0 else np.nan)


def network(quality: float, ratio: float, *, budgets: tuple[str, ...] = ()) -> Trial:
    return candidate(0, found_architecture(0), quality=quality, ratio=ratio, budgets=budgets)


@given(SHAPES.flatmap(lambda shape: arrays(float, shape, elements=GRID)))
def test_a_history_is_the_hypervolume_of_each_beginning(scaled: Array) -> None:
    corner = np.ones(scaled.shape[1])
    expected = [hypervolume(scaled[: n + 1], corner) for n in range(len(scaled))]
    assert accumulate_hypervolume(scaled) == pytest.approx(expected)


def test_the_box_is_that_of_the_front_and_a_tenth_more() -> None:
    """Extremes of the front: 90 at 0.5, 94 at 1.0. The third is beaten, far out, and no matter."""
    found = [network(90, 0.5), network(94, 1.0), network(80, 9.0)]
    scaled = scale_losses(found, TWO)
    assert scaled[:2] == pytest.approx(np.array([[1 / 1.1, 0], [0, 1 / 1.1]]))
    history = hypervolume_history(found, TWO)
    assert history == pytest.approx([0.1 / 1.1, (0.2 - 0.1**2 / 1.1) / 1.1, history[1]])


def test_what_breaks_a_budget_or_was_not_scored_adds_nothing() -> None:
    over = network(99, 0.1, budgets=("1MFLOPs",))
    unscored = candidate(0, found_architecture(0), quality=None, ratio=0.1)
    found = [network(90, 0.5), over, unscored, network(94, 1.0)]
    history = hypervolume_history(found, TWO)
    assert history[0] == history[1] == history[2] < history[3]
    assert not hypervolume_history([over, unscored], TWO).any()
    assert hypervolume_history([], TWO).shape == (0,)


def test_one_network_and_one_objective_have_a_history_too() -> None:
    assert hypervolume_history([network(90, 1.0)], TWO) == pytest.approx([1.0])
    one = hypervolume_history([network(90, 2.0), network(90, 1.0), network(90, 1.5)], ("latency",))
    assert one == pytest.approx([0.1 / 1.1, 1.0, 1.0])


def test_ten_thousand_candidates_are_cheap() -> None:
    rng = np.random.default_rng(0)
    first = rng.random(10_000)
    start = time.process_time()
    accumulate_hypervolume(np.stack([first, 1 - first + 0.3 * rng.random(10_000)], axis=1))
    assert time.process_time() - start < 2


def test_flat_is_less_than_the_tolerance_over_the_patience() -> None:
    history = np.concatenate([np.linspace(0, 1, 100), np.full(50, 1.0)])
    assert is_flat(history, patience=50, tolerance=0.005, minimum=150)
    assert not is_flat(history, patience=50, tolerance=0.005, minimum=151)
    assert not is_flat(history, patience=52, tolerance=0.005, minimum=0)
    history[-1] = 1.0049 / 0.9999
    assert is_flat(history, patience=50, tolerance=0.005, minimum=0)
    history[-1] = 1.0051
    assert not is_flat(history, patience=50, tolerance=0.005, minimum=0)


def test_a_search_without_a_feasible_network_is_never_flat() -> None:
    assert not is_flat(np.zeros(1000))
    assert estimate_gain(np.zeros(1000), 100) is None


def test_little_is_known_of_a_short_search() -> None:
    assert estimate_gain(np.linspace(0.1, 1, 39), 10) is None
    assert estimate_gain(np.linspace(0.1, 1, 40), 10) is not None


def test_after_a_long_time_without_gain_little_is_left() -> None:
    done = estimate_gain(np.concatenate([np.linspace(0, 1, 50), np.ones(150)]), 100)
    going = estimate_gain(np.linspace(0, 1, 200), 100)
    assert done is not None
    assert going is not None
    assert done.low == done.expected == 0
    assert 0 < done.high < 0.1 < going.expected
    assert going.low < going.expected < going.high


def _random(rng: np.random.Generator, number: int) -> Array:
    return rng.normal([0.6, 0.6], 0.15, (number, 2)).clip(0)


def _coarse(rng: np.random.Generator, number: int) -> Array:
    """Few held-out images: one score has few values."""
    found = _random(rng, number)
    found[:, 0] = found[:, 0].round(1)
    return found


def _steady(rng: np.random.Generator, number: int) -> Array:
    level = 0.9 - 0.6 * np.arange(number) / number
    return level[:, None] + rng.normal(0, 0.05, (number, 2)) + rng.uniform(0, 0.3, (number, 2))


def _saturating(rng: np.random.Generator, number: int) -> Array:
    level = 0.3 + 0.5 * np.exp(-np.arange(number) / (0.1 * number))
    return level[:, None] + abs(rng.normal(0, 0.1, (number, 2)))


@pytest.mark.parametrize("search", [_random, _coarse, _steady, _saturating])
def test_the_range_holds_what_searches_of_all_kinds_then_gain(search: Search) -> None:
    """No share is promised, but it is no guess that most of them belie."""
    held = 0
    for seed in range(30):
        history = accumulate_hypervolume(search(np.random.default_rng(seed), 160).clip(0))
        left = estimate_gain(history[:80], 80, seed)
        assert left is not None
        held += left.low <= history[-1] / history[79] - 1 <= left.high
    assert held >= 24


def test_the_estimate_repeats() -> None:
    history = accumulate_hypervolume(np.random.default_rng(2).random((100, 2)))
    assert estimate_gain(history, 50) == estimate_gain(history, 50)

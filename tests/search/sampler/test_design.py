"""The first trials of `PredictorSampler`, and what is left of a space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from gnv2_nas.search.sampler.evolution import draw_initial_design, find_untried
from gnv2_nas.search.sampler.grid import MAX_LEVELS, Grid
from tests.search.sampler.sampler_helpers import EVERY_KIND, FOURS, ask, study_with, total

EVERY = {name: each for name, each in EVERY_KIND.items() if not each.single()}


def unordered(sizes):
    """Parameters without an order, where the tilted half is balanced as well."""
    letters = [CategoricalDistribution([f"v{n}" for n in range(size)]) for size in sizes]
    return Grid({f"x{n}": each for n, each in enumerate(letters)})


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 40), st.integers(0, 99))
def test_each_half_has_every_level_equally_often(sizes, count, seed):
    rows = draw_initial_design(unordered(sizes), count, np.random.default_rng(seed))
    assert rows.shape == (count, len(sizes))
    for column, size in zip(rows.T, sizes, strict=True):
        counts = np.bincount(column, minlength=size)
        assert len(counts) == size
        # Within one in each half.
        assert counts.max() - counts.min() <= 2
        assert counts.max() <= -(-(count - count // 2) // size) + -(-(count // 2) // size)


def test_the_balanced_half_is_balanced_in_ordered_parameters_too():
    """Of one trial there is no tilted half; of many, each level is there as often as it must."""
    grid = Grid(FOURS)
    rows = draw_initial_design(grid, 40, np.random.default_rng(0))
    for column in rows.T:
        assert np.bincount(column, minlength=4).min() >= 5


@pytest.mark.parametrize("seed", range(3))
def test_half_of_the_design_goes_from_small_to_large(seed):
    """Values are shuffled: it is their order that counts, not the place among the choices."""
    choices = [7, 1, 5, 3, 9]
    grid = Grid({f"x{n}": CategoricalDistribution(choices) for n in range(40)})
    rows = draw_initial_design(grid, 20, np.random.default_rng(seed))
    means = np.sort([np.mean(list(grid.params(row).values())) for row in rows])
    # Of 40 parameters at random the mean is 5 ± 0.45.
    assert means[0] < 3
    assert means[-1] > 7
    assert np.sum(np.abs(means - 5) < 1.4) >= 10


def test_a_study_begins_with_the_design():
    study = study_with(startup_trials=25)
    trials = ask(study, FOURS, 25, total)
    for name in FOURS:
        levels = [each.params[name] for each in trials]
        assert min(levels.count(level) for level in range(4)) >= 3
    sums = [sum(each.params.values()) for each in trials]
    # Six levels of 0 to 3 at random: 9 ± 2.7, and beyond 4 or 14 once in 25.
    assert min(sums) <= 4
    assert max(sums) >= 14


@given(st.data())
def test_levels_and_values_are_each_others(data):
    grid = Grid(EVERY)
    row = [data.draw(st.integers(0, size - 1)) for size in grid.sizes.tolist()]
    assert grid.levels([grid.params(row)]).tolist() == [row]
    assert len(grid.features(grid.levels([grid.params(row)]))[0]) == len(grid.groups)


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**13), st.integers(1, 10**4), st.booleans())
def test_integers_are_of_the_range_and_reach_both_ends(low, span, step, log):
    if log:
        low, step = abs(low) + 1, 1
    high = low + span // step * step
    distribution = IntDistribution(low, high, log=log, step=step)
    values = Grid({"x": distribution}).parameters[0].values
    assert values[0] == low
    assert values[-1] == high
    assert list(values) == sorted(set(values))
    assert all((value - low) % step == 0 for value in values)
    assert len(values) <= MAX_LEVELS
    if (high - low) // step < MAX_LEVELS:
        assert len(values) == (high - low) // step + 1


@given(
    st.decimals(-1000, 1000, places=2), st.decimals("0.01", 1000, places=2),
    st.integers(1, 200), st.booleans(),
)  # fmt: skip
def test_floats_are_of_the_range(low, size, steps, stepped):
    high = low + size * steps
    distribution = FloatDistribution(float(low), float(high), step=float(size) if stepped else None)
    values = Grid({"x": distribution}).parameters[0].values
    assert all(distribution._contains(value) for value in values)
    assert list(values) == sorted(set(values))
    assert len(values) == (min(steps + 1, MAX_LEVELS) if stepped else MAX_LEVELS)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 300), st.data())
def test_what_is_left_is_found(sizes, count, data):
    grid, rng = unordered(sizes), np.random.default_rng(0)
    every = find_untried(grid, set(), 256, rng)
    assert len({row.tobytes() for row in every}) == np.prod(sizes) == len(every)
    tried = {row.tobytes() for row in every if data.draw(st.booleans())}
    left = {row.tobytes() for row in find_untried(grid, tried, count, rng)}
    assert len(left) == min(count, len(every) - len(tried))
    assert not left & tried


def test_something_is_left_of_a_space_too_large_to_be_listed():
    grid = unordered([9] * 30)
    assert len(find_untried(grid, set(), 5, np.random.default_rng(0))) == 5

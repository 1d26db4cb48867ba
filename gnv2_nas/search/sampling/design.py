"""The first trials: every choice of every parameter about equally often, and small to large."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np

from gnv2_nas.search.sampling.grid import Grid, Levels

ENUMERATED = 100_000
"""A space of so many genotypes is listed to find one that is left."""

DRAWN = 64
"""Genotypes drawn beyond those wanted where a space is too large to be listed."""


def initial_design(grid: Grid, count: int, rng: np.random.Generator) -> Levels:
    """(count, p) levels: in each parameter, each level as often as any other, give or take one.

    Random genotypes of many parameters are all about the same size (their sum varies little), and
    a model learns nothing about the ends of the front. So half of the design is tilted: each of its
    trials has a place between 0 and 1, spread evenly over them, and takes the levels of ordered
    parameters from around it.
    """
    balanced = count - count // 2
    columns = [_balanced(size, balanced, rng) for size in grid.sizes]
    rows = np.column_stack(columns) if columns else np.empty((balanced, 0), dtype=np.intp)
    rows = np.vstack([rows, _tilted(grid, count // 2, rng)])
    return rows[rng.permutation(count)]


def untried(grid: Grid, seen: Collection[bytes], count: int, rng: np.random.Generator) -> Levels:
    """At most `count` genotypes of which `seen` has not the bytes; fewer when fewer are left."""
    size = math.prod(int(each) for each in grid.sizes)
    if size <= ENUMERATED:
        rows = np.column_stack(np.unravel_index(rng.permutation(size), grid.sizes))
    else:
        rows = initial_design(grid, count + DRAWN, rng)
    fresh: dict[bytes, int] = {}
    for number, row in enumerate(rows):
        if len(fresh) < count and row.tobytes() not in seen:
            fresh.setdefault(row.tobytes(), number)
    return rows[list(fresh.values())]


def _balanced(size: int, count: int, rng: np.random.Generator) -> Levels:
    repeated = np.tile(rng.permutation(size), count // size + 1)[:count]
    return rng.permutation(repeated)


def _tilted(grid: Grid, count: int, rng: np.random.Generator) -> Levels:
    places = (np.arange(count) + rng.random(count)) / max(count, 1)
    rows = np.empty((count, len(grid)), dtype=np.intp)
    for column, parameter in enumerate(grid.parameters):
        size = len(parameter.values)
        if parameter.ordered:
            # A beta distribution around the place, as wide as a third of the range.
            spot = rng.beta(1 + 4 * places, 1 + 4 * (1 - places))
            rows[:, column] = parameter.order[np.minimum((spot * size).astype(np.intp), size - 1)]
        else:
            rows[:, column] = _balanced(size, count, rng)
    return rows

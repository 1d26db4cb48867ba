"""Candidates for the models: an initial design and an evolutionary search."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.sampler.grid import Grid, Levels

MAX_ENUMERATED = 100_000
"""A space of up to this many genotypes is listed to find those that are left."""

EXTRA_DRAWS = 64
"""Genotypes drawn beyond those wanted if the space is too large to be listed."""


def draw_initial_design(grid: Grid, count: int, rng: np.random.Generator) -> Levels:
    """Draw (count, p) levels, half of them balanced and half of them tilted.

    In the balanced half, each level of a parameter appears equally often, give or take one. Random
    genotypes of many parameters all have about the same size, so a model could not learn the ends
    of a front from them. Each trial of the tilted half therefore has a place between 0 and 1,
    spread evenly, and takes the levels of ordered parameters from around it.
    """
    balanced = count - count // 2
    columns = [_draw_balanced(size, balanced, rng) for size in grid.sizes]
    rows = np.column_stack(columns) if columns else np.empty((balanced, 0), dtype=np.intp)
    rows = np.vstack([rows, _draw_tilted(grid, count // 2, rng)])
    return rows[rng.permutation(count)]


def find_untried(
    grid: Grid, seen: Collection[bytes], count: int, rng: np.random.Generator
) -> Levels:
    """Find at most `count` genotypes whose bytes are not in `seen`; fewer if fewer are left."""
    size = math.prod(int(each) for each in grid.sizes)
    if size <= MAX_ENUMERATED:
        rows = np.column_stack(np.unravel_index(rng.permutation(size), grid.sizes))
    else:
        rows = draw_initial_design(grid, count + EXTRA_DRAWS, rng)
    fresh: dict[bytes, int] = {}
    for number, row in enumerate(rows):
        if len(fresh) < count and row.tobytes() not in seen:
            fresh.setdefault(row.tobytes(), number)
    return rows[list(fresh.values())]


def _draw_balanced(size: int, count: int, rng: np.random.Generator) -> Levels:
    repeated = np.tile(rng.permutation(size), count // size + 1)[:count]
    return rng.permutation(repeated)


def _draw_tilted(grid: Grid, count: int, rng: np.random.Generator) -> Levels:
    places = (np.arange(count) + rng.random(count)) / max(count, 1)
    rows = np.empty((count, len(grid)), dtype=np.intp)
    for column, parameter in enumerate(grid.parameters):
        size = len(parameter.values)
        if parameter.ordered:
            # A beta distribution around the place, about a third of the range wide.
            spot = rng.beta(1 + 4 * places, 1 + 4 * (1 - places))
            rows[:, column] = parameter.order[np.minimum((spot * size).astype(np.intp), size - 1)]
        else:
            rows[:, column] = _draw_balanced(size, count, rng)
    return rows


Fitness = Callable[[Levels], NDArray[np.float64]]
"""(m, p) levels → (m, d) fitness in each of d directions; more is better."""

ELITE_PER_DIRECTION = 4
"""Number of candidates kept in each direction."""
MIN_KEPT = 48
"""Least number of candidates kept, if there are few directions."""
NEIGHBOUR_SHARE = 0.5
"""Share of the mutations of an ordered parameter that go to a neighbouring value."""
CROSSOVER_SHARE = 0.7
"""Share of the children that have two parents."""


@dataclass(frozen=True)
class Evolution:
    """An evolutionary search with many directions of fitness at once."""

    generations: int = 20
    children: int = 256

    def run(self, grid: Grid, first: Levels, fitness: Fitness, rng: np.random.Generator) -> Levels:
        """Return distinct candidates that are among the best in some direction.

        Args:
            first: (n, p) candidates to start from.
        """
        found = _drop_repeats(first)
        scores = fitness(found)
        for _ in range(self.generations):
            kept = _select_elite(scores)
            found, scores = found[kept], scores[kept]
            children = _new(_breed(grid, found, self.children, rng), found)
            if len(children):
                found = np.vstack([found, children])
                scores = np.vstack([scores, fitness(children)])
        kept = _select_elite(scores)
        return found[kept]


def _select_elite(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows that are among the best in some direction."""
    count = min(max(ELITE_PER_DIRECTION, MIN_KEPT // scores.shape[1]), len(scores))
    best = np.argpartition(-scores, count - 1, axis=0)[:count]
    return np.unique(best)


def _breed(grid: Grid, parents: Levels, count: int, rng: np.random.Generator) -> Levels:
    """Breed children of one or two parents, each with at least one mutation."""
    mothers = parents[rng.integers(len(parents), size=count)]
    fathers = parents[rng.integers(len(parents), size=count)]
    from_father = rng.random(mothers.shape) < rng.uniform(0, 0.5, (count, 1))
    from_father &= rng.random((count, 1)) < CROSSOVER_SHARE
    children = np.where(from_father, fathers, mothers)
    # From one change to some: small steps refine, larger ones leave a hill.
    rates = rng.choice([1.0, 2.0, 4.0], size=(count, 1)) / max(len(grid), 1)
    changed = rng.random(children.shape) < rates
    return np.where(changed, mutated(grid, children, rng), children)


def mutated(grid: Grid, levels: Levels, rng: np.random.Generator) -> Levels:
    """(n, p) another level for every parameter: a neighbouring one, or any."""
    others = (levels + rng.integers(1, np.maximum(grid.sizes, 2), size=levels.shape)) % grid.sizes
    below_or_above = rng.integers(2, size=levels.shape)
    neighbours = grid.neighbours[np.arange(len(grid)), levels, below_or_above]
    result: Levels = np.where(
        rng.random(levels.shape) < NEIGHBOUR_SHARE * grid.ordered, neighbours, others
    )
    return result


def _new(children: Levels, known: Levels) -> Levels:
    """Children that are not among the known, each once."""
    rows = {row.tobytes() for row in known}
    fresh: dict[bytes, int] = {}
    for number, row in enumerate(children):
        key = row.tobytes()
        if key not in rows:
            fresh.setdefault(key, number)
    return children[list(fresh.values())]


def _drop_repeats(levels: Levels) -> Levels:
    return _new(levels, levels[:0])

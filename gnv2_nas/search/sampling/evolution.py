"""Thousands of candidates, evolved on the models: cheap, vectorised, and never measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.sampling.grid import Grid, Levels

Fitness = Callable[[Levels], NDArray[np.float64]]
"""(m, p) levels → (m, d) fitness in each of d directions; more is better, -inf is forbidden."""

ELITE = 4
"""Candidates kept in each direction."""
FEWEST = 48
"""Candidates kept where directions are few."""
STEP = 0.5
"""Share of the changes of an ordered parameter that go to a neighbouring value."""
CROSSED = 0.7
"""Share of the children that have two parents."""


@dataclass(frozen=True)
class Evolution:
    """How candidates are bred."""

    generations: int = 20
    children: int = 256

    def run(self, grid: Grid, first: Levels, fitness: Fitness, rng: np.random.Generator) -> Levels:
        """The candidates that are among the best in some direction, no two the same.

        Args:
            first: (n, p) candidates to start from.
        """
        found = _distinct(first)
        scores = fitness(found)
        for _ in range(self.generations):
            kept = _elite(scores)
            found, scores = found[kept], scores[kept]
            children = _new(_breed(grid, found, self.children, rng), found)
            if len(children):
                found = np.vstack([found, children])
                scores = np.vstack([scores, fitness(children)])
        kept = _elite(scores)
        return found[kept]


def _elite(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Rows that are among the best in some direction, forbidden ones left out if any is allowed."""
    count = min(max(ELITE, FEWEST // scores.shape[1]), len(scores))
    best = np.argpartition(-scores, count - 1, axis=0)[:count]
    return np.unique(best)


def _breed(grid: Grid, parents: Levels, count: int, rng: np.random.Generator) -> Levels:
    """Children of two parents or one, each with a change or more."""
    mothers = parents[rng.integers(len(parents), size=count)]
    fathers = parents[rng.integers(len(parents), size=count)]
    from_father = rng.random(mothers.shape) < rng.uniform(0, 0.5, (count, 1))
    from_father &= rng.random((count, 1)) < CROSSED
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
    result: Levels = np.where(rng.random(levels.shape) < STEP * grid.ordered, neighbours, others)
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


def _distinct(levels: Levels) -> Levels:
    return _new(levels, levels[:0])

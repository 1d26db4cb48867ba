"""From what is known to the next batch: fit, evolve, choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.regression import Matrix
from gnv2_nas.search.pareto import non_dominated
from gnv2_nas.search.sampling.choice import Extent, choose
from gnv2_nas.search.sampling.design import initial_design
from gnv2_nas.search.sampling.directions import draw_directions, reach
from gnv2_nas.search.sampling.evolution import Evolution
from gnv2_nas.search.sampling.grid import Grid, Levels
from gnv2_nas.search.sampling.history import History
from gnv2_nas.search.sampling.models import OutcomeModels

DRAWS = 48
DIRECTIONS = 48
OPTIMISM = 1.0
"""Standard deviations that candidates are evolved to be better than expected."""
NEWCOMERS = 128


@dataclass
class Planner:
    """Proposes batches over one grid; its models go on from batch to batch."""

    grid: Grid
    rng: np.random.Generator
    evolution: Evolution = field(default_factory=Evolution)

    def __post_init__(self) -> None:
        self.models = OutcomeModels()

    def plan(self, history: History, count: int) -> Levels:
        """At most `count` genotypes that were never asked for, best first."""
        self.models.fit(self._features(history.levels), self.grid.groups, history.outcomes)
        known = self._known(history)
        candidates = self._evolved(history, known)
        fresh = [row.tobytes() not in history.seen for row in candidates]
        candidates = candidates[fresh]
        if not len(candidates):
            return candidates
        return candidates[self._chosen(candidates, history, known, count)]

    def _features(self, levels: Levels) -> Matrix:
        return self.grid.features(levels)

    def _known(self, history: History) -> Matrix:
        """(n, k) losses of the feasible trials, without their noise; of all if none is feasible."""
        fitted = np.array(history.losses)
        for column, model in enumerate(self.models.models[: fitted.shape[1]]):
            finite = np.isfinite(fitted[:, column])
            fitted[finite, column] = model.fitted
        feasible = history.feasible
        return fitted[feasible if feasible.any() else np.isfinite(fitted).all(axis=1)]

    def _evolved(self, history: History, known: Matrix) -> Levels:
        objectives = history.losses.shape[1]
        extent = Extent.of(known)
        directions = np.vstack(
            [draw_directions(DIRECTIONS, objectives, self.rng), np.eye(objectives) + 1e-3]
        )

        def fitness(levels: Levels) -> NDArray[np.float64]:
            mean, std = self.models.mean_and_std(self._features(levels))
            hoped = mean - OPTIMISM * std
            excess = np.maximum(hoped[:, objectives:], 0).sum(axis=1)
            reached = reach(extent.improvements(hoped[:, :objectives]), directions)
            # Whoever breaks a constraint ranks below all who do not, by how far.
            return np.where(excess[:, None] > 0, -1e6 * (1 + excess[:, None]), reached)

        first = np.vstack([history.levels, initial_design(self.grid, NEWCOMERS, self.rng)])
        return self.evolution.run(self.grid, first, fitness, self.rng)

    def _chosen(
        self, candidates: Levels, history: History, known: Matrix, count: int
    ) -> Sequence[int]:
        objectives = history.losses.shape[1]
        levels = np.vstack([candidates, history.running])
        draws = self.models.draws(self._features(levels), DRAWS, self.rng)
        feasible: NDArray[np.bool_] = np.all(draws[:, :, objectives:] <= 0, axis=2)
        front = known[non_dominated(known)] if history.feasible.any() else known[:0]
        return choose(
            draws[:, :, :objectives],
            feasible,
            front,
            Extent.of(known),
            count,
            self.rng,
            taken=range(len(candidates), len(levels)),
        )

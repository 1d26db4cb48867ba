"""Models of all outcomes on one kind of knowledge, and the search for candidates on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.analysis.pareto import is_non_dominated
from gnv2_nas.search.sampler.encoders import Description, LevelKnowledge
from gnv2_nas.search.sampler.evolution import Evolution
from gnv2_nas.search.sampler.grid import Grid, Levels
from gnv2_nas.search.sampler.history import History
from gnv2_nas.search.sampler.models import OutcomeModels
from gnv2_nas.search.sampler.scalarization import Extent, draw_directions, reach
from gnv2_nas.stats.ridge import Matrix

DIRECTIONS = 48


class Stage:
    """Knows a history through its models."""

    def __init__(self, grid: Grid, knowledge: LevelKnowledge, evolution: Evolution) -> None:
        self.grid, self.knowledge, self.evolution = grid, knowledge, evolution
        self._models = OutcomeModels(knowledge.groups, knowledge.views)

    def fit(self, history: History) -> None:
        self.history = history
        self._models.fit(self.knowledge.describe(history.levels).features, history.outcomes)
        self.known = self._known()

    def forget(self) -> None:
        """Let go of all that grows with the history."""
        self._models.forget()
        del self.known

    def _known(self) -> Matrix:
        """(n, k) losses of the feasible trials, without their noise; of all if none is feasible."""
        objectives = self.history.losses.shape[1]
        fitted = self._models.fitted(self.history.outcomes)[:, :objectives]
        feasible = self.history.feasible
        return fitted[feasible if feasible.any() else np.all(np.isfinite(fitted), axis=1)]

    @property
    def extent(self) -> Extent:
        return Extent.of(self.known)

    @property
    def front(self) -> Matrix:
        """(f, k) losses that no known trial dominates; none as long as no trial is feasible."""
        known = self.known
        return known[is_non_dominated(known)] if self.history.feasible.any() else known[:0]

    def losses(self, levels: Levels) -> tuple[Matrix, Matrix]:
        """(m, k) expected losses and their standard deviations."""
        description = self.knowledge.describe(levels)
        means, stds = self._models.mean_and_std(description.features)
        exact = self._exact(description)
        unknown = np.isnan(exact)
        objectives = self.history.losses.shape[1]
        means, stds = np.where(unknown, means, exact), np.where(unknown, stds, 0)
        return means[:, :objectives], stds[:, :objectives]

    def draws(
        self, levels: Levels, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """(count, m, k) losses that could be, and (count, m) whether constraints would be kept."""
        description = self.knowledge.describe(levels)
        drawn = self._models.draws(description.features, count, rng)
        exact = self._exact(description)
        drawn = np.where(np.isnan(exact), drawn, exact)
        objectives = self.history.losses.shape[1]
        feasible: NDArray[np.bool_] = np.all(drawn[:, :, objectives:] <= 0, axis=2)
        return drawn[:, :, :objectives], feasible

    def evolved(self, first: Levels, rng: np.random.Generator) -> Levels:
        """Candidates that are expected to be among the best in some direction.

        Luck plays its part when some of them are chosen, not here: it takes twice the time.
        """
        objectives, extent = self.history.losses.shape[1], self.extent
        # With one objective there is one direction only.
        drawn = draw_directions(DIRECTIONS if objectives > 1 else 0, objectives, rng)
        # Towards the ends of the front, too.
        directions = np.vstack([drawn, np.eye(objectives) + 1e-3])

        def fitness(levels: Levels) -> NDArray[np.float64]:
            description = self.knowledge.describe(levels)
            exact = self._exact(description)
            means = np.where(np.isnan(exact), self._models.mean(description.features), exact)
            excess = np.maximum(means[:, objectives:], 0).sum(axis=1)[:, None]
            reached = reach(extent.improvements(means[:, :objectives]), directions)
            # Whoever breaks a constraint ranks below all who do not, by how far.
            return np.where(excess > 0, -1e6 * (1 + excess), reached)

        return self.evolution.run(self.grid, first, fitness, rng)

    def _exact(self, description: Description) -> Matrix:
        """(m, k + c) outcomes, NaN where they are not known exactly."""
        history = self.history
        exact = np.full((len(description.features), history.outcomes.shape[1]), np.nan)
        for objective, values in description.values.items():
            exact[:, objective] = history.signs[objective] * values
        for column, key in enumerate(history.constraint_keys, start=history.losses.shape[1]):
            if key in description.constraints:
                exact[:, column] = description.constraints[key]
        return exact

"""Surrogate models of all outcomes on one encoding, and the search for candidates on them.

Objectives are combined by hypervolume scalarization (Zhang & Golovin 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.analysis.pareto import is_non_dominated
from gnv2_nas.search.sampler.encoders import Encoded, LevelEncoder
from gnv2_nas.search.sampler.evolution import Evolution
from gnv2_nas.search.sampler.grid import Grid, Levels
from gnv2_nas.search.sampler.history import History
from gnv2_nas.search.sampler.models import OutcomeModels
from gnv2_nas.stats.ridge import Matrix, Vector

_MIN_COMPONENT = 1e-6


def draw_directions(count: int, objectives: int, rng: np.random.Generator) -> Matrix:
    """(count, objectives) directions, uniform on the positive part of the unit sphere."""
    normal = np.abs(rng.standard_normal((count, objectives)))
    result: Matrix = np.maximum(
        normal / np.linalg.norm(normal, axis=1, keepdims=True), _MIN_COMPONENT
    )
    return result


def scalarize(improvements: NDArray[np.float64], directions: Matrix) -> NDArray[np.float64]:
    """Length of each point along each direction: (..., k) and (d, k) → (..., d).

    Negative if the point is worse than the reference in some objective.
    """
    result = improvements[..., None, 0] / directions[:, 0]
    for objective in range(1, directions.shape[1]):
        np.minimum(
            result, improvements[..., None, objective] / directions[:, objective], out=result
        )
    return result


@dataclass(frozen=True)
class ReferenceBox:
    """The box of the hypervolume: improvements on a reference, in units of the range."""

    reference: Vector
    """(k,) losses of the reference: a point that is worse counts nothing."""
    span: Vector
    """(k,) distance from the best known loss to the reference."""

    @classmethod
    def of(cls, losses: Matrix) -> ReferenceBox:
        """The box of (n, k) known losses; the reference lies a tenth beyond the worst."""
        best, worst = losses.min(axis=0), losses.max(axis=0)
        span = np.where(worst > best, worst - best, 1.0)
        return cls(worst + 0.1 * span, 1.1 * span)

    def improvements(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., k) improvements of losses on the reference; 1 is the best known loss."""
        result: NDArray[np.float64] = (self.reference - losses) / self.span
        return result


DIRECTIONS = 48


class Surrogate:
    """Models of the outcomes of a history, on the features of one encoder."""

    def __init__(self, grid: Grid, encoder: LevelEncoder, evolution: Evolution) -> None:
        self.grid, self.encoder, self.evolution = grid, encoder, evolution
        self._models = OutcomeModels(encoder.groups, encoder.feature_sets)

    def fit(self, history: History) -> None:
        self.history = history
        self._models.fit(self.encoder.encode(history.levels).features, history.outcomes)
        self.known = self._known()

    def forget(self) -> None:
        """Drop everything that grows with the history."""
        self._models.forget()
        del self.known

    def _known(self) -> Matrix:
        """(n, k) losses of the feasible trials without noise; of all trials if none is feasible."""
        objectives = self.history.losses.shape[1]
        fitted = self._models.fitted(self.history.outcomes)[:, :objectives]
        feasible = self.history.feasible
        return fitted[feasible if feasible.any() else np.all(np.isfinite(fitted), axis=1)]

    @property
    def box(self) -> ReferenceBox:
        return ReferenceBox.of(self.known)

    @property
    def front(self) -> Matrix:
        """(f, k) non-dominated losses of feasible trials."""
        known = self.known
        return known[is_non_dominated(known)] if self.history.feasible.any() else known[:0]

    def losses(self, levels: Levels) -> tuple[Matrix, Matrix]:
        """(m, k) predicted losses and their standard deviations."""
        encoded = self.encoder.encode(levels)
        means, stds = self._models.mean_and_std(encoded.features)
        exact = self._exact(encoded)
        unknown = np.isnan(exact)
        objectives = self.history.losses.shape[1]
        means, stds = np.where(unknown, means, exact), np.where(unknown, stds, 0)
        return means[:, :objectives], stds[:, :objectives]

    def draws(
        self, levels: Levels, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """(count, m, k) draws of the losses, and (count, m) whether they are feasible."""
        encoded = self.encoder.encode(levels)
        drawn = self._models.draws(encoded.features, count, rng)
        exact = self._exact(encoded)
        drawn = np.where(np.isnan(exact), drawn, exact)
        objectives = self.history.losses.shape[1]
        feasible: NDArray[np.bool_] = np.all(drawn[:, :, objectives:] <= 0, axis=2)
        return drawn[:, :, :objectives], feasible

    def optimize_candidates(self, first: Levels, rng: np.random.Generator) -> Levels:
        """Optimise candidates by their posterior mean, in many directions of the objectives.

        Draws would double the time: uncertainty enters in `select_batch`.
        """
        objectives, box = self.history.losses.shape[1], self.box
        # With one objective there is only one direction.
        drawn = draw_directions(DIRECTIONS if objectives > 1 else 0, objectives, rng)
        # And one direction towards each end of the front.
        directions = np.vstack([drawn, np.eye(objectives) + 1e-3])

        def fitness(levels: Levels) -> NDArray[np.float64]:
            encoded = self.encoder.encode(levels)
            exact = self._exact(encoded)
            means = np.where(np.isnan(exact), self._models.mean(encoded.features), exact)
            excess = np.maximum(means[:, objectives:], 0).sum(axis=1)[:, None]
            scalarized = scalarize(box.improvements(means[:, :objectives]), directions)
            # Infeasible candidates rank below all feasible ones, by their excess.
            return np.where(excess > 0, -1e6 * (1 + excess), scalarized)

        return self.evolution.run(self.grid, first, fitness, rng)

    def _exact(self, encoded: Encoded) -> Matrix:
        """(m, k + c) outcomes, NaN where they are not known exactly."""
        history = self.history
        exact = np.full((len(encoded.features), history.outcomes.shape[1]), np.nan)
        for objective, values in encoded.values.items():
            exact[:, objective] = history.signs[objective] * values
        for column, key in enumerate(history.constraint_keys, start=history.losses.shape[1]):
            if key in encoded.constraints:
                exact[:, column] = encoded.constraints[key]
        return exact

"""Surrogate models of all outcomes on one encoding, and the search for candidates on them.

Objectives are combined by hypervolume scalarization (Zhang & Golovin 2020).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

Bounds = Mapping[str, float]
"""Key of a constraint → its largest allowed value; 0 for those that are not named."""

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


@dataclass(frozen=True)
class Aim:
    """A front that a batch is to extend: that of the trials within bounds on their constraints."""

    bounds: Vector
    """(c,) largest value of each constraint that is allowed."""
    known: Matrix
    """(n, k) losses of the feasible trials without noise; of all trials if none is feasible."""
    front: Matrix
    """(f, k) non-dominated losses of feasible trials."""

    @property
    def box(self) -> ReferenceBox:
        return ReferenceBox.of(self.known)

    def keeps(self, constraints: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(...,) whether (..., c) constraints are within the bounds."""
        result: NDArray[np.bool_] = np.all(constraints <= self.bounds, axis=-1)
        return result


DIRECTIONS = 48


class Surrogate:
    """Models of the outcomes of a history, on the features of one encoder."""

    def __init__(self, grid: Grid, encoder: LevelEncoder, evolution: Evolution) -> None:
        self.grid, self.encoder, self.evolution = grid, encoder, evolution
        self._models = OutcomeModels(encoder.feature_sets)

    def fit(self, history: History, fronts: Sequence[Bounds]) -> None:
        self.history = history
        # Constraints are often relative excesses over a limit: -1 for an outcome of 0.
        shifts = np.repeat([0.0, 1.0], [history.losses.shape[1], history.constraints.shape[1]])
        own, others = self.encoder.encode(history.levels), self.encoder.elsewhere()
        self._models.fit(
            own.features, history.outcomes, shifts, others.features, self._exact(others)
        )
        fitted = self._models.fitted(history.outcomes)[:, : history.losses.shape[1]]
        self.aims = [_aim(history, fitted, bounds) for bounds in fronts]

    def forget(self) -> None:
        """Drop everything that grows with the history."""
        self._models.forget()
        del self.aims

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
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(count, m, k) draws of the losses, and (count, m, c) of the constraints."""
        encoded = self.encoder.encode(levels)
        drawn = self._models.draws(encoded.features, count, rng)
        exact = self._exact(encoded)
        drawn = np.where(np.isnan(exact), drawn, exact)
        objectives = self.history.losses.shape[1]
        return drawn[:, :, :objectives], drawn[:, :, objectives:]

    def optimize_candidates(self, first: Levels, rng: np.random.Generator) -> Levels:
        """Optimise candidates by their posterior mean, in many directions of each front.

        Draws would double the time: uncertainty enters in `select_batch`.
        """
        objectives = self.history.losses.shape[1]
        # With one objective there is only one direction.
        drawn = draw_directions(DIRECTIONS if objectives > 1 else 0, objectives, rng)
        ends = np.eye(objectives) + 1e-3
        # The fronts share the directions, and each has one towards each of its ends.
        aims = [
            (aim, aim.box, np.vstack([drawn[place :: len(self.aims)], ends]))
            for place, aim in enumerate(self.aims)
        ]

        def fitness(levels: Levels) -> NDArray[np.float64]:
            encoded = self.encoder.encode(levels)
            exact = self._exact(encoded)
            means = np.where(np.isnan(exact), self._models.mean(encoded.features), exact)
            losses, constraints = np.split(means, [objectives], axis=1)
            columns = []
            for aim, box, directions in aims:
                excess = np.maximum(constraints - aim.bounds, 0).sum(axis=1)[:, None]
                scalarized = scalarize(box.improvements(losses), directions)
                # Infeasible candidates rank below all feasible ones, by their excess.
                columns.append(np.where(excess > 0, -1e6 * (1 + excess), scalarized))
            return np.hstack(columns)

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


def _aim(history: History, fitted: Matrix, bounds: Bounds) -> Aim:
    """The front within `bounds` of trials with (n, k) fitted losses."""
    largest = np.array([bounds.get(key, 0.0) for key in history.constraint_keys])
    feasible = history.feasible_within(largest)
    known = fitted[feasible if feasible.any() else np.all(np.isfinite(fitted), axis=1)]
    return Aim(largest, known, known[is_non_dominated(known)] if feasible.any() else known[:0])

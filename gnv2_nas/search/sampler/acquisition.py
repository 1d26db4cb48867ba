"""From finished trials to the next batch: fit, optimise candidates, select a batch."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.sampler.encoders import CachedEncoder, GenotypeEncoder, OneHotEncoder
from gnv2_nas.search.sampler.evolution import Evolution, draw_initial_design, find_untried
from gnv2_nas.search.sampler.grid import Grid, Levels
from gnv2_nas.search.sampler.history import History
from gnv2_nas.search.sampler.surrogate import Aim, Bounds, Surrogate, draw_directions, scalarize
from gnv2_nas.stats.ridge import Matrix

DIRECTIONS = 128
DRAWS = 48
TIE_BREAK = 1e-6
"""Weight of a candidate's own hypervolume and of its probability to be feasible. They order the
candidates without an expected gain."""


def select_batch(
    surrogate: Surrogate, candidates: Levels, count: int, rng: np.random.Generator
) -> list[int]:
    """Select the candidates with the largest expected joint gain of hypervolume.

    Expected improvement by Monte Carlo (Daulton, Balandat & Bakshy, "Differentiable Expected
    Hypervolume Improvement", NeurIPS 2020, sec. 3), greedy, with hypervolume as an average over
    directions (`scalarize`): after each selection, the gain of the others is what they add to the
    selected ones in each draw. Running trials count as selected. If there are several fronts, each
    selection is for the gain of another one.

    Returns:
        Rows of the (m, p) candidates, at most `count`. Candidates without an expected gain come
        last, ordered by their probability to be feasible.
    """
    history, aims = surrogate.history, surrogate.aims
    losses, constraints = surrogate.draws(np.vstack([candidates, history.running]), DRAWS, rng)
    directions = draw_directions(DIRECTIONS, losses.shape[2], rng)
    gains = [
        _Gains(aim, losses, aim.keeps(constraints), directions[place :: len(aims)], len(candidates))
        for place, aim in enumerate(aims)
    ]
    chosen: list[int] = []
    for place in range(min(count, len(candidates))):
        # The loosest bounds come last. Batches begin with different fronts.
        number = gains[-1 - (len(history.levels) + place) % len(aims)].best(chosen)
        chosen.append(number)
        for each in gains:
            each.select(number)
    return chosen


class _Gains:
    """Expected gains of (m, p) candidates on one front, while a batch is being selected.

    Args:
        losses: (s, m + r, k) draws of candidates and running trials.
        feasible: (s, m + r)
        directions: (d, k)
        candidates: m
    """

    def __init__(
        self,
        aim: Aim,
        losses: NDArray[np.float64],
        feasible: NDArray[np.bool_],
        directions: Matrix,
        candidates: int,
    ) -> None:
        box = aim.box
        volumes = _volumes(box.improvements(losses), directions) * feasible[:, :, None]
        known = _volumes(box.improvements(aim.front), directions).max(axis=0, initial=0.0)
        self._volumes, taken = np.split(volumes, [candidates], axis=1)
        self._best = np.maximum(taken.max(axis=1, initial=0.0), known)
        own = self._volumes.mean(axis=(0, 2)) + feasible[:, :candidates].mean(axis=0)
        self._own = TIE_BREAK * own

    def best(self, chosen: Sequence[int]) -> int:
        """The candidate with the largest gain that is not among `chosen`."""
        gains = np.maximum(self._volumes - self._best[:, None, :], 0).mean(axis=(0, 2)) + self._own
        gains[list(chosen)] = -1
        return int(gains.argmax())

    def select(self, number: int) -> None:
        np.maximum(self._best, self._volumes[:, number], out=self._best)


def _volumes(improvements: NDArray[np.float64], directions: Matrix) -> NDArray[np.float32]:
    scalarized = np.maximum(scalarize(improvements, directions), 0).astype(np.float32)
    result: NDArray[np.float32] = scalarized ** directions.shape[1]
    return result


RANDOM_CANDIDATES = 128
"""Random candidates in each batch, besides those that descend from trials."""
MAX_TRAINING_TRIALS = 512
"""Trials that the models are fitted to: the time is cubic in their number."""
PARAMETER_EVOLUTION = Evolution(generations=20, children=256)
GRAPH_EVOLUTION = Evolution(generations=6, children=96)
"""Fewer candidates, because encoding one takes about a millisecond."""


@dataclass(frozen=True)
class PlannedBatch:
    """Genotypes to try, best first, with the predictions of the models."""

    levels: Levels
    """(n, p)"""
    means: Matrix
    """(n, k) losses."""
    stds: Matrix
    """(n, k), 0 where the loss is known exactly."""


class BatchPlanner:
    """Plans batches over one grid; each fit of the models continues from the one before.

    Candidates are optimised on models of the parameters, which are cheap to evaluate. If there is
    an encoder, the best of them are optimised further on models of its features.
    """

    def __init__(
        self, grid: Grid, rng: np.random.Generator, encoder: GenotypeEncoder | None = None
    ) -> None:
        self.grid, self.rng = grid, rng
        self._surrogates = [Surrogate(grid, OneHotEncoder(grid), PARAMETER_EVOLUTION)]
        self._cached = encoder and CachedEncoder(grid, encoder)
        if self._cached:
            self._surrogates.append(Surrogate(grid, self._cached, GRAPH_EVOLUTION))

    def plan(self, history: History, count: int, fronts: Sequence[Bounds] = ({},)) -> PlannedBatch:
        """Plan at most `count` genotypes that were never proposed.

        Args:
            fronts: see `PredictorSampler`.
        """
        random_candidates = draw_initial_design(self.grid, RANDOM_CANDIDATES, self.rng)
        candidates = np.vstack([history.levels, random_candidates])
        subset = history.training_subset(MAX_TRAINING_TRIALS)
        for surrogate in self._surrogates:
            surrogate.fit(subset, fronts)
            candidates = surrogate.optimize_candidates(candidates, self.rng)
        candidates = self._new(candidates, history.seen)
        if not len(candidates):
            # Every optimised candidate was tried: select among the rest of the space.
            candidates = find_untried(self.grid, history.seen, RANDOM_CANDIDATES, self.rng)
            candidates = self._new(candidates, history.seen)
        if len(candidates):
            candidates = candidates[select_batch(self._surrogates[-1], candidates, count, self.rng)]
        means, stds = self._surrogates[-1].losses(candidates)
        for surrogate in self._surrogates:
            surrogate.forget()
        if self._cached:
            self._cached.keep_only(history.levels)
        return PlannedBatch(candidates, means, stds)

    def _new(self, candidates: Levels, seen: Collection[bytes]) -> Levels:
        fresh = [row.tobytes() not in seen for row in candidates]
        candidates = candidates[fresh]
        return candidates[self._surrogates[-1].encoder.is_new(candidates)]

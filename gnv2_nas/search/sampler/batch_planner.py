"""From what is known to the next batch: fit, evolve, choose."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from gnv2_nas.search.sampler.acquisition import choose
from gnv2_nas.search.sampler.encoders import GridKnowledge, Knowledge, RememberedKnowledge
from gnv2_nas.search.sampler.evolution import Evolution, initial_design, untried
from gnv2_nas.search.sampler.grid import Grid, Levels
from gnv2_nas.search.sampler.history import History
from gnv2_nas.search.sampler.surrogate import Stage
from gnv2_nas.stats.ridge import Matrix

NEWCOMERS = 128
"""Candidates that no trial had a part in, in each batch."""
MOST_FITTED = 512
"""Trials that models are fitted to: the time for it is cubic in their number."""
ON_PARAMETERS = Evolution(generations=20, children=256)
ON_KNOWLEDGE = Evolution(generations=6, children=96)
"""Fewer, since each costs about a millisecond to describe."""


@dataclass(frozen=True)
class Plan:
    """Genotypes to try, best first, and what is expected of them."""

    levels: Levels
    """(n, p)"""
    means: Matrix
    """(n, k) losses."""
    stds: Matrix
    """(n, k), 0 where the loss is known exactly."""


class Planner:
    """Proposes batches over one grid; its models go on from batch to batch.

    Candidates are evolved on models of the parameters, which are cheap to ask. Where more is known
    (`Knowledge`), the best of those are evolved further on models of that.
    """

    def __init__(
        self, grid: Grid, rng: np.random.Generator, knowledge: Knowledge | None = None
    ) -> None:
        self.grid, self.rng = grid, rng
        self._stages = [Stage(grid, GridKnowledge(grid), ON_PARAMETERS)]
        self._remembered = knowledge and RememberedKnowledge(grid, knowledge)
        if self._remembered:
            self._stages.append(Stage(grid, self._remembered, ON_KNOWLEDGE))

    def plan(self, history: History, count: int) -> Plan:
        """At most `count` genotypes that were never asked for."""
        newcomers = initial_design(self.grid, NEWCOMERS, self.rng)
        candidates = np.vstack([history.levels, newcomers])
        fitted_to = history.most_telling(MOST_FITTED)
        for stage in self._stages:
            stage.fit(fitted_to)
            candidates = stage.evolved(candidates, self.rng)
        candidates = self._new(candidates, history.seen)
        if not len(candidates):
            # All that is good was tried: of the rest, what the models think best.
            candidates = untried(self.grid, history.seen, NEWCOMERS, self.rng)
            candidates = self._new(candidates, history.seen)
        if len(candidates):
            candidates = candidates[choose(self._stages[-1], candidates, count, self.rng)]
        means, stds = self._stages[-1].losses(candidates)
        for stage in self._stages:
            stage.forget()
        if self._remembered:
            self._remembered.forget_all_but(history.levels)
        return Plan(candidates, means, stds)

    def _new(self, candidates: Levels, seen: Collection[bytes]) -> Levels:
        fresh = [row.tobytes() not in seen for row in candidates]
        candidates = candidates[fresh]
        return candidates[self._stages[-1].knowledge.is_new(candidates)]

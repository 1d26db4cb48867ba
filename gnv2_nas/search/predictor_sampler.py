"""`PredictorSampler`: an Optuna sampler that models what it has seen and searches on the models.

For searches of some dozen to some thousand trials that cost a second or more each, over
categorical and integer parameters, with one objective or several and with constraints
(`trial.set_constraint`). Works with any `optuna.create_study`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial

from gnv2_nas.search.sampling.design import initial_design
from gnv2_nas.search.sampling.grid import Grid, Parameter, Row
from gnv2_nas.search.sampling.history import read_history
from gnv2_nas.search.sampling.planner import Planner

_FIXED = "fixed_params"
"""System attribute of a trial whose parameters were given by `study.enqueue_trial`."""


class PredictorSampler(BaseSampler):
    """A short balanced design, then batches that models expect to gain most hypervolume.

    Args:
        seed: of all its random numbers; the same seed and the same outcomes propose the same.
        startup_trials: trials before the first model, those that were enqueued included.
        batch_size: proposals that are planned together. The models are fitted again after so
            many; more make the sampler faster and a little less sharp.
    """

    def __init__(
        self, *, seed: int | None = None, startup_trials: int = 20, batch_size: int = 8
    ) -> None:
        for name, value in (("startup_trials", startup_trials), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"`{name} >= 1` must hold, but got {name}={value}")
        self.startup_trials = startup_trials
        self.batch_size = batch_size
        self._rng = np.random.default_rng(seed)
        self._search_space = IntersectionSearchSpace(include_pruned=True)
        self._planner: Planner | None = None
        self._design: list[Row] = []
        self._batch: list[Row] = []
        self._lock = threading.Lock()

    def reseed_rng(self) -> None:
        """For workers that must not all propose the same."""
        self._rng = np.random.default_rng()
        self._planner = None

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """The parameters that every finished trial has."""
        with self._lock:
            space = self._search_space.calculate(study)
        return {name: each for name, each in space.items() if not each.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next of the batch; {} for what is to be chosen independently."""
        if not search_space or trial.system_attrs.get(_FIXED):
            return {}
        with self._lock:
            planner = self._planner_for(search_space)
            trials = [
                each for each in study.get_trials(deepcopy=False) if each.number != trial.number
            ]
            levels = self._next(study, planner, trials)
        return planner.grid.params(levels)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A value that other trials took as seldom as any."""
        parameter = Parameter(param_name, param_distribution)
        counts = np.zeros(len(parameter.values))
        for other in study.get_trials(deepcopy=False):
            if other.distributions.get(param_name) == param_distribution:
                counts[parameter.level(other.params[param_name])] += 1
        with self._lock:
            level = self._rng.choice(np.flatnonzero(counts == counts.min()))
        return parameter.values[level]

    def _planner_for(self, search_space: dict[str, BaseDistribution]) -> Planner:
        if self._planner is None or self._planner.grid.distributions != search_space:
            grid = Grid(search_space)
            self._planner = Planner(grid, self._rng)
            self._design = list(initial_design(grid, self.startup_trials, self._rng))
            self._batch = []
        return self._planner

    def _next(self, study: Study, planner: Planner, trials: Sequence[FrozenTrial]) -> Row:
        seen = {
            row.tobytes()
            for row in planner.grid.levels(
                [each.params for each in trials if _has_all(each, planner.grid)]
            )
        }
        while len(trials) < self.startup_trials and self._design:
            levels = self._design.pop()
            if levels.tobytes() not in seen:
                return levels
        while self._batch:
            levels = self._batch.pop(0)
            if levels.tobytes() not in seen:
                return levels
        history = read_history(study, planner.grid, trials)
        if np.isfinite(history.losses).all(axis=1).sum() >= 2:
            self._batch = list(planner.plan(history, self.batch_size))
            if self._batch:
                return self._batch.pop(0)
        (levels,) = initial_design(planner.grid, 1, self._rng)
        return np.asarray(levels)


def _has_all(trial: FrozenTrial, grid: Grid) -> bool:
    return grid.distributions.keys() <= trial.params.keys()

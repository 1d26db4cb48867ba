"""`PredictorSampler`: an Optuna sampler that fits models and searches on them.

For searches of some dozen to some thousand trials that cost a second or more each, over
categorical and integer parameters, with one objective or several and with constraints
(`trial.set_constraint`). Works with any `optuna.create_study`.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from gnv2_nas.search.sampler.acquisition import BatchPlanner, PlannedBatch
from gnv2_nas.search.sampler.encoders import GenotypeEncoder
from gnv2_nas.search.sampler.evolution import draw_initial_design, find_untried
from gnv2_nas.search.sampler.grid import Grid, GridPoint, Parameter
from gnv2_nas.search.sampler.history import Corrections, HistoryReader, SharedParameters
from gnv2_nas.search.sampler.surrogate import Bounds

STARTUP_TRIALS = 20
BATCH_SIZE = 4
MIN_TRIALS_FOR_MODEL = 2
_FIXED = "fixed_params"
"""System attribute of a trial whose parameters were given by `study.enqueue_trial`."""


@dataclass(frozen=True)
class Expectation:
    """Prediction of the objectives of a trial, before it is evaluated."""

    means: tuple[float, ...]
    """In the study's own direction."""
    stds: tuple[float, ...]
    """Of the values without noise; 0 where a value is known exactly."""


@dataclass(frozen=True)
class _Planned:
    levels: GridPoint
    expectation: Expectation | None = None
    """None for a trial of the initial design."""


class PredictorSampler(BaseSampler):
    """A balanced initial design, then batches with the largest expected gain of hypervolume.

    The sampler serves one study, which it identifies by its name; with another study it starts
    anew. A pickled copy continues like the original. Infinite values count as worse, or better,
    than all others by the range of the others.

    Args:
        seed: seed of all random numbers. The same seed and outcomes give the same proposals.
        startup_trials: number of trials before the first model, enqueued ones included.
        batch_size: number of proposals that are planned together. The models are fitted once a
            batch, so a larger one is faster and slightly less exact.
        encoder: encodes genotypes for the models; None for their parameters alone.
        fronts: for each front that the batches extend in turn, the largest value of each
            constraint, by its key: 0 where it is not named, and less for a tighter limit. By
            default there is one front, that of the feasible trials.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        startup_trials: int = STARTUP_TRIALS,
        batch_size: int = BATCH_SIZE,
        encoder: GenotypeEncoder | None = None,
        fronts: Sequence[Bounds] = ({},),
    ) -> None:
        for name, value in (("startup_trials", startup_trials), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"`{name} >= 1` must hold, but got {name}={value}")
        self.startup_trials = startup_trials
        self.batch_size = batch_size
        self.encoder = encoder
        self.fronts = fronts
        self._rng = np.random.default_rng(seed)
        self._planner: BatchPlanner | None = None
        self._queue: list[_Planned] = []
        self._asked: dict[int, GridPoint] = {}
        self._expected: dict[int, Expectation] = {}
        self._corrections: Corrections = {}
        self._study_name = ""
        self._study: weakref.ref[Study] | None = None
        self._process = os.getpid()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        kept = self.__dict__.copy()
        del kept["_lock"]
        return kept | {"_study": None, "_process": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def reseed_rng(self) -> None:
        """Give this worker its own random numbers.

        Optuna calls it before every trial of a thread, too. Threads share the planned batch.
        """
        with self._lock:
            self._rng.bit_generator.state = np.random.default_rng().bit_generator.state
            if self._process != os.getpid():
                self._process = os.getpid()
                self._planner = None

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        """The parameters that every finished trial has."""
        with self._lock:
            self._bind(study)
            return self._shared.find(study)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next of the batch; {} for what is to be chosen independently."""
        if not search_space or trial.system_attrs.get(_FIXED):
            return {}
        with self._lock:
            self._bind(study)
            planner = self._planner_for(search_space)
            planned = self._next(study, planner, study.get_trials(deepcopy=False))
            self._asked[trial.number] = planned.levels
            if planned.expectation:
                self._expected[trial.number] = planned.expectation
        return planner.grid.params(planned.levels)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """One of the values that other trials took least often."""
        parameter = Parameter(param_name, param_distribution)
        counts = np.zeros(len(parameter.values))
        for other in study.get_trials(deepcopy=False):
            if other.distributions.get(param_name) == param_distribution:
                counts[parameter.level(other.params[param_name])] += 1
        with self._lock:
            level = self._rng.choice(np.flatnonzero(counts == counts.min()))
        return parameter.values[level]

    def after_trial(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
        state: TrialState,  # noqa: ARG002
        values: Sequence[float] | None,  # noqa: ARG002
    ) -> None:
        """Forget the expectation of a trial that is finished."""
        with self._lock:
            self._asked.pop(trial.number, None)
            self._expected.pop(trial.number, None)

    def expected(self, number: int) -> Expectation | None:
        """The prediction for a running trial; None if no model proposed it."""
        return self._expected.get(number)

    def correct(
        self, number: int, values: Sequence[float], constraints: Mapping[str, float]
    ) -> None:
        """Replace the values of a finished trial, for instance after measuring again."""
        self._corrections[number] = (list(values), dict(constraints))

    def _bind(self, study: Study) -> None:
        if self._study is not None and self._study() is study:
            return
        if self._study_name not in ("", study.study_name):
            self._planner = None
            self._expected, self._corrections = {}, {}
        self._study, self._study_name = weakref.ref(study), study.study_name
        # The cached trials may be of another storage.
        self._shared = SharedParameters()
        if self._planner is not None:
            self._reader = HistoryReader(self._planner.grid)

    def _planner_for(self, search_space: dict[str, BaseDistribution]) -> BatchPlanner:
        if self._planner is None or self._planner.grid.distributions != search_space:
            grid = Grid(search_space)
            self._planner = BatchPlanner(grid, self._rng, self.encoder)
            self._reader = HistoryReader(grid)
            design = draw_initial_design(grid, self.startup_trials, self._rng)
            self._queue, self._asked = [_Planned(levels) for levels in design], {}
        return self._planner

    def _next(self, study: Study, planner: BatchPlanner, trials: Sequence[FrozenTrial]) -> _Planned:
        seen = self._reader.seen(trials) | {row.tobytes() for row in self._asked.values()}
        # The last is the one that is asked for.
        if len(trials) > self.startup_trials and not any(each.expectation for each in self._queue):
            self._queue = []
        while self._queue:
            planned = self._queue.pop(0)
            if planned.levels.tobytes() not in seen:
                return planned
        history = self._reader.read(study, trials, self._corrections, self._asked)
        if np.all(np.isfinite(history.losses), axis=1).sum() >= MIN_TRIALS_FOR_MODEL:
            self._queue = _plan(planner.plan(history, self.batch_size, self.fronts), history.signs)
            if self._queue:
                return self._queue.pop(0)
        left = find_untried(planner.grid, seen, 1, self._rng)
        return _Planned((left if len(left) else draw_initial_design(planner.grid, 1, self._rng))[0])


def _plan(plan: PlannedBatch, signs: Sequence[float]) -> list[_Planned]:
    means = plan.means * signs
    return [
        _Planned(levels, Expectation(tuple(mean.tolist()), tuple(std.tolist())))
        for levels, mean, std in zip(plan.levels, means, plan.stds, strict=True)
    ]

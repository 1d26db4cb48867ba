"""What a study has found out so far, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from gnv2_nas.regression import Matrix
from gnv2_nas.search.sampling.grid import Grid, Levels

Corrections = dict[int, tuple[Sequence[float], Mapping[str, float]]]
"""Number of a trial → values and constraints that are better than those it was told with."""


@dataclass(frozen=True)
class History:
    """Finished trials with an outcome, and those that are still running."""

    levels: Levels
    """(n, p) of the finished."""
    losses: Matrix
    """(n, k), NaN for a trial that was pruned; less is better."""
    constraints: Matrix
    """(n, c), NaN where a trial set none; 0 or less is kept."""
    running: Levels
    """(r, p)"""
    signs: Sequence[float]
    """(k,) -1 for an objective that is maximised: values times these are losses."""
    constraint_keys: Sequence[str]
    """(c,)"""
    seen: frozenset[bytes]
    """Every genotype that was asked for, whatever became of it."""

    @property
    def outcomes(self) -> Matrix:
        """(n, k + c)"""
        return np.hstack([self.losses, self.constraints])

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(n,) trials with values that keep every constraint they set."""
        kept = np.all(np.nan_to_num(self.constraints) <= 0, axis=1)
        result: NDArray[np.bool_] = kept & np.all(np.isfinite(self.losses), axis=1)
        return result


def read_history(
    study: Study, grid: Grid, trials: Sequence[FrozenTrial], corrections: Corrections
) -> History:
    """The trials that have every parameter of the grid, in the order of their numbers."""
    known = [trial for trial in trials if grid.distributions.keys() <= trial.params.keys()]
    finished = [trial for trial in known if _has_outcome(trial)]
    signs = [1 if each is StudyDirection.MINIMIZE else -1 for each in study.directions]
    keys = sorted({key for trial in finished for key in trial.constraints})
    outcomes = [_outcome(trial, corrections, len(signs)) for trial in finished]
    losses = [np.multiply(signs, values) for values, _ in outcomes]
    constraints = [[kept.get(key, np.nan) for key in keys] for _, kept in outcomes]
    levels = grid.levels([trial.params for trial in known])
    rows = {id(trial): row for trial, row in zip(known, levels, strict=True)}
    running = [rows[id(trial)] for trial in known if not trial.state.is_finished()]
    return History(
        levels=_rows([rows[id(trial)] for trial in finished], len(grid)),
        losses=np.array(losses, dtype=np.float64).reshape(len(finished), len(signs)),
        constraints=np.array(constraints, dtype=np.float64).reshape(len(finished), len(keys)),
        running=_rows(running, len(grid)),
        signs=signs,
        constraint_keys=keys,
        seen=frozenset(row.tobytes() for row in levels),
    )


def _has_outcome(trial: FrozenTrial) -> bool:
    pruned = trial.state is TrialState.PRUNED and bool(trial.constraints)
    return trial.state is TrialState.COMPLETE or pruned


def _outcome(
    trial: FrozenTrial, corrections: Corrections, objectives: int
) -> tuple[Sequence[float], Mapping[str, float]]:
    """Values and constraints of a finished trial."""
    if trial.number in corrections:
        return corrections[trial.number]
    # A pruned trial may hold an intermediate value, which is not that of a finished one.
    complete = trial.state is TrialState.COMPLETE
    return list(trial.values) if complete else [np.nan] * objectives, trial.constraints


def _rows(rows: Sequence[NDArray[np.intp]], width: int) -> Levels:
    return np.array(rows, dtype=np.intp).reshape(len(rows), width)

"""The trials of a study as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from gnv2_nas.search.sampler.grid import Grid, GridPoint, Levels
from gnv2_nas.stats.ridge import Matrix, Vector

MAX_OUTCOME = 1e100
"""Larger outcomes count as infinite, because their squares would be."""

Corrections = dict[int, tuple[Sequence[float], Mapping[str, float]]]
"""Number of a trial → later values and constraints, which replace the first ones."""


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
    """Every genotype that was proposed, whatever its outcome."""

    @property
    def outcomes(self) -> Matrix:
        """(n, k + c)"""
        return np.hstack([self.losses, self.constraints])

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(n,) whether a trial has values and satisfies every constraint it set."""
        return self.feasible_within(0.0)

    def feasible_within(self, bounds: float | Vector) -> NDArray[np.bool_]:
        """(n,) the same for (c,) largest values of the constraints."""
        kept = np.all(np.nan_to_num(self.constraints, nan=-np.inf) <= bounds, axis=1)
        result: NDArray[np.bool_] = kept & np.all(np.isfinite(self.losses), axis=1)
        return result

    def training_subset(self, count: int) -> History:
        """At most `count` trials: the best in any objective or overall, the last, some others."""
        if len(self.levels) <= count:
            return self
        finite = np.nan_to_num(self.losses, nan=np.inf)
        ranks = finite.argsort(axis=0).argsort(axis=0) / len(finite)
        # Low at the ends and in the middle of a front.
        merit = np.minimum(ranks.min(axis=1), ranks.mean(axis=1)) + ~self.feasible
        best = np.argsort(merit, kind="stable")[: count // 2]
        last = np.arange(len(finite) - count // 4, len(finite))
        others = np.linspace(0, len(finite) - 1, count - count // 2 - count // 4).astype(np.intp)
        chosen = np.unique(np.concatenate([best, last, others]))
        # A constraint that none of them set cannot be modelled.
        known = np.isfinite(self.constraints[chosen]).any(axis=0)
        return replace(
            self,
            levels=self.levels[chosen],
            losses=self.losses[chosen],
            constraints=self.constraints[chosen][:, known],
            constraint_keys=[
                self.constraint_keys[column] for column in np.flatnonzero(known).tolist()
            ],
        )


class FinishedTrials:
    """Hands out each finished trial of a growing study once."""

    def __init__(self) -> None:
        self._first = 0
        self._later: set[int] = set()

    def take(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Those of all trials of the study, in order, that were not handed out."""
        left = trials[self._first :]
        new = [each for each in left if each.state.is_finished() and each.number not in self._later]
        self._later |= {trial.number for trial in new}
        # The trials before the first unfinished one need not be looked at again.
        while self._first < len(trials) and trials[self._first].number in self._later:
            self._later.remove(trials[self._first].number)
            self._first += 1
        return new

    def unfinished(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        return [each for each in trials[self._first :] if not each.state.is_finished()]


class SharedParameters:
    """The parameters that every finished trial has, with the same distribution.

    Optuna's `IntersectionSearchSpace` looks at all trials after the oldest unfinished one again.
    """

    def __init__(self) -> None:
        self._finished = FinishedTrials()
        self._shared: dict[str, BaseDistribution] | None = None

    def find(self, study: Study) -> dict[str, BaseDistribution]:
        for trial in self._finished.take(study.get_trials(deepcopy=False)):
            if trial.state is TrialState.FAIL:
                continue
            shared = trial.distributions if self._shared is None else self._shared
            self._shared = {
                name: each
                for name, each in shared.items()
                if trial.distributions.get(name) == each and not each.single()
            }
        return dict(sorted((self._shared or {}).items()))


class HistoryReader:
    """Reads a study repeatedly; converts the parameters of each finished trial once."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._finished = FinishedTrials()
        self._rows: dict[int, GridPoint | None] = {}
        self._tried: set[bytes] = set()

    def seen(self, trials: Sequence[FrozenTrial]) -> set[bytes]:
        """Every genotype that was proposed, whatever its outcome.

        A genotype of a trial with further parameters, which the grid does not have, may be
        proposed again.
        """
        for trial in self._finished.take(trials):
            self._row(trial)
        rows = [self._row(trial) for trial in self._finished.unfinished(trials)]
        return self._tried | {row.tobytes() for row in rows if row is not None}

    def read(
        self,
        study: Study,
        trials: Sequence[FrozenTrial],
        corrections: Corrections,
        asked: Mapping[int, GridPoint],
    ) -> History:
        """The trials that have every parameter of the grid, in the order of their numbers.

        Args:
            study: for its directions.
            trials: all of the study.
            corrections: of finished trials.
            asked: number of a trial → the genotype proposed for it, perhaps not yet suggested.
        """
        known = [trial for trial in trials if self._row(trial) is not None]
        finished = [trial for trial in known if _has_outcome(trial)]
        signs = [1 if each is StudyDirection.MINIMIZE else -1 for each in study.directions]
        kept = [_outcome(trial, corrections, len(signs)) for trial in finished]
        keys = sorted({key for _, constraints in kept for key in constraints})
        losses = np.array([np.multiply(signs, values) for values, _ in kept], dtype=np.float64)
        losses = _replace_infinite(losses.reshape(-1, len(signs)))
        table = [[each.get(key, np.nan) for key in keys] for _, each in kept]
        constraints = np.array(table, dtype=np.float64).reshape(len(finished), len(keys))
        running = {
            trial.number: self._row(trial) for trial in known if not trial.state.is_finished()
        }
        return History(
            levels=self._table([self._rows[each.number] for each in finished]),
            losses=losses,
            constraints=_fill_unset(_replace_infinite(constraints, 0.0), np.isfinite(losses[:, 0])),
            running=self._table(list({**asked, **running}.values())),
            signs=signs,
            constraint_keys=keys,
            seen=frozenset(self.seen(trials) | {row.tobytes() for row in asked.values()}),
        )

    def _row(self, trial: FrozenTrial) -> GridPoint | None:
        """The levels of a trial; None when it lacks a parameter of the grid."""
        if trial.number not in self._rows:
            row = self._levels(trial)
            if not trial.state.is_finished():
                return row
            self._rows[trial.number] = row
            if row is not None and not self._has_more(trial):
                self._tried.add(row.tobytes())
        return self._rows[trial.number]

    def _has_more(self, trial: FrozenTrial) -> bool:
        """Whether a trial has parameters that are not in the grid."""
        return any(
            name not in self._grid.distributions and not each.single()
            for name, each in trial.distributions.items()
        )

    def _levels(self, trial: FrozenTrial) -> GridPoint | None:
        # A failed or a running trial may have had another range under the same name.
        wanted = self._grid.distributions.items()
        if any(trial.distributions.get(name) != each for name, each in wanted):
            return None
        row: GridPoint = self._grid.levels([trial.params])[0]
        return row

    def _table(self, rows: Sequence[GridPoint | None]) -> Levels:
        return np.array(rows, dtype=np.intp).reshape(len(rows), len(self._grid))


def _fill_unset(constraints: Matrix, complete: NDArray[np.bool_]) -> Matrix:
    """Fill in constraints that are set only where they are violated.

    Elsewhere they count as satisfied by the mean violation.

    Args:
        constraints: (n, c), NaN where none was set.
        complete: (n,) whether the trial has values; a pruned one may lack constraints.
    """
    result = constraints.copy()
    for column in result.T:
        known = column[~np.isnan(column)]
        if np.all(known > 0):
            column[np.isnan(column) & complete] = -known.mean()
    return result


def _replace_infinite(columns: Matrix, *always: float) -> Matrix:
    """Replace infinite outcomes by ones beyond all others by the range of the others.

    Args:
        columns: (n, o) outcomes, NaN where unknown.
        always: further outcomes of every column.
    """
    result = columns.copy()
    for column in result.T:
        numbers = [*column[np.abs(column) <= MAX_OUTCOME], *always] or [0.0]
        low, high = min(numbers), max(numbers)
        beyond = (high - low) or 1.0
        column[column > MAX_OUTCOME] = high + beyond
        column[column < -MAX_OUTCOME] = low - beyond
    return result


def _has_outcome(trial: FrozenTrial) -> bool:
    pruned = trial.state is TrialState.PRUNED and bool(trial.constraints)
    return trial.state is TrialState.COMPLETE or pruned


def _outcome(
    trial: FrozenTrial, corrections: Corrections, objectives: int
) -> tuple[Sequence[float], Mapping[str, float]]:
    """Values and constraints of a finished trial."""
    if trial.number in corrections:
        return corrections[trial.number]
    # The value of a pruned trial is an intermediate one.
    complete = trial.state is TrialState.COMPLETE
    return list(trial.values) if complete else [np.nan] * objectives, trial.constraints

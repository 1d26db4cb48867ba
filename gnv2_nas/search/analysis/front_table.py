"""The front of a running search, at a cost that hardly grows with the number of trials."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from gnv2_nas.search.analysis.pareto import Losses, dominates, is_non_dominated
from gnv2_nas.search.study.metrics import loss
from gnv2_nas.search.study.records import Trial
from gnv2_nas.search.study.settings import Settings


class FrontTable:
    """Losses of all trials in every view of a study; each trial is read when it changes only."""

    def __init__(self, settings: Settings, trials: Iterable[Trial] = ()) -> None:
        self._views = [_View(view) for view in settings.views]
        self._rows: dict[int, int] = {}
        for trial in trials:
            self.put(trial)

    def put(self, trial: Trial) -> None:
        """Add a trial, or give it later values."""
        row = self._rows.setdefault(trial.number, len(self._rows))
        for view in self._views:
            view.put(row, trial)

    def front(self) -> set[int]:
        """Numbers of the trials of `joint_front`."""
        return self._numbers(set[int]().union(*(view.front().tolist() for view in self._views)))

    def contenders(self, device: str) -> set[int]:
        """Numbers of the trials whose latency on a device may decide a front or a budget.

        The others are dominated even at the lower end of its interval, and keep or break each
        latency budget at both ends.
        """
        views = [view for view in self._views if view.device == device]
        return self._numbers(set[int]().union(*(view.contenders().tolist() for view in views)))

    def _numbers(self, rows: set[int]) -> set[int]:
        return {number for number, row in self._rows.items() if row in rows}


class _View:
    """(n, k) losses of one view, infinite where a trial cannot be on its front."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.device = settings.device_labels[0] if len(settings.devices) == 1 else ""
        self._limits = [each.limit for each in settings.limits_of("latency")]
        # Then the interval of the latency.
        self._values = np.empty((0, len(settings.objectives) + 2))
        self._count = 0

    @property
    def _losses(self) -> Losses:
        return self._values[: self._count, :-2]

    def put(self, row: int, trial: Trial) -> None:
        if row == len(self._values):
            self._values = np.vstack([self._values, np.empty((row + 64, self._values.shape[1]))])
        self._count = max(self._count, row + 1)
        shown, objectives = trial.seen(self._settings), self._settings.objectives
        losses = [loss(shown, name) for name in objectives]
        if not shown.feasible or not all(map(math.isfinite, losses)):
            losses = [math.inf] * len(objectives)
        interval = shown.latency.own_ci95() if shown.latency else (math.nan, math.nan)
        self._values[row] = [*losses, *interval]

    def front(self) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        finite = np.flatnonzero(np.isfinite(self._losses).all(axis=1))
        return finite[is_non_dominated(self._losses[finite])]

    def contenders(self) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        low, high = self._values[: self._count, -2:].T
        undecided = np.zeros(self._count, dtype=np.bool_)
        for limit in self._limits:
            undecided |= (low <= limit) & (limit < high)
        if "latency" in self._settings.objectives:
            at_best = self._losses.copy()
            at_best[:, self._settings.objectives.index("latency")] = low
            rivals = self._losses[self.front()]
            undecided |= np.isfinite(at_best).all(axis=1) & ~dominates(rivals, at_best).any(axis=1)
        return np.flatnonzero(undecided)

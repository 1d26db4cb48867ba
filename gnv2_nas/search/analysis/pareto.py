"""Pareto dominance, fronts, and hypervolume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.study.metrics import loss
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.search.study.settings import Settings

Losses = NDArray[np.float64]


def study_front(record: StudyRecord) -> list[Trial]:
    """The front of a study, best in the first objective first.

    Stock networks are on it by the same rule as any other trial.
    """
    return pareto_front(record.trials, record.settings.objectives)


def pareto_front(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Trial]:
    """Feasible members of `trials` that none of them dominates in `objectives`."""
    feasible = [trial for trial in trials if trial.feasible]
    if not feasible:
        return []
    losses = np.array([[loss(trial, name) for name in objectives] for trial in feasible])
    kept = [n for n in np.flatnonzero(is_non_dominated(losses)) if np.isfinite(losses[n]).all()]
    return [feasible[n] for n in sorted(kept, key=lambda n: losses[n].tolist())]


def joint_front(
    trials: Sequence[Trial], settings: Settings, views: Sequence[Settings] = ()
) -> list[Trial]:
    """Members of the front of any view of a study, best in the first objective first.

    Args:
        views: some of `Settings.views`; () for all.
    """
    numbers = {
        member.number
        for view in views or settings.views
        for member in pareto_front([each.seen(view) for each in trials], view.objectives)
    }
    return sort_members((trial for trial in trials if trial.number in numbers), settings)


def sort_members(members: Iterable[Trial], settings: Settings) -> list[Trial]:
    """Members of a joint front, best in the first objective first."""
    # A member of the front of one device may have no latency on another.
    return sorted(
        members,
        key=lambda each: np.nan_to_num(
            [loss(each, name) for name in settings.objectives], nan=np.inf
        ).tolist(),
    )


def find_nearest_to_budgets(trials: Sequence[Trial]) -> Trial:
    """The trial that breaks its worst budget by the least; one that keeps all, if any does."""
    return min(trials, key=lambda each: max([0.0, *each.excesses.values()]))


def is_non_dominated(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mask of the rows of (n, k) `losses` that no other row dominates; equal rows both stay.

    A row dominates another if it is no worse in every column and better in one; less is better.
    Rows are kept in order of their sum, and each removes the rows that it dominates. That is fast
    when a few rows dominate thousands.
    """
    keep = np.zeros(len(losses), dtype=bool)
    # Of equal sums, a row that dominates comes first in the order of columns.
    left = np.lexsort((*losses.T[::-1], losses.sum(axis=1)))
    rows = losses[left]
    while len(left):
        keep[left[0]] = True
        stays = ~dominates(rows[:1], rows)[:, 0]
        stays[0] = False
        left, rows = left[stays], rows[stays]
    return keep


def dominates(rivals: Losses, losses: Losses) -> NDArray[np.bool_]:
    """(n, f) whether each of (f, k) rivals dominates each of (n, k) losses."""
    no_worse = np.all(rivals <= losses[:, None], axis=2)
    better = np.any(rivals < losses[:, None], axis=2)
    result: NDArray[np.bool_] = no_worse & better
    return result


def hypervolume(losses: Losses, reference: Losses) -> float:
    """Volume of the region that `losses` dominate up to `reference`; exact.

    Suitable for up to about five objectives: the cost grows with a power of the front's size.

    Args:
        losses: (n, k); less is better. Rows with a NaN, or with a column no better than the
            reference, are ignored.
        reference: (k,), finite.

    Raises:
        ValueError: the shapes do not fit, or the reference is not finite.
    """
    losses, reference = np.asarray(losses, float), np.asarray(reference, float)
    if losses.ndim != 2 or reference.shape != losses.shape[1:] or not len(reference):
        raise ValueError(
            "shapes must be (n, k) and (k,) with `k >= 1`, "
            f"but got {losses.shape} and {reference.shape}"
        )
    if not np.isfinite(reference).all():
        raise ValueError(f"the reference must be finite, but got {reference.tolist()}")
    return _volume(losses[(losses < reference).all(axis=1)], reference)


def hypervolume_gain(loss: Losses, losses: Losses, reference: Losses) -> float:
    """Increase of the hypervolume of (n, k) `losses` by one more row (k,).

    It is the box of that row minus the part that other rows cover (While, Bradstreet & Barone, "A
    fast way of calculating exact hypervolumes", IEEE Trans. Evolutionary Computation 16, 2012,
    eq. 2).
    """
    if not (loss < reference).all():
        return 0.0
    own = float(np.prod(reference - loss))
    covered = np.maximum(losses, loss)
    return max(0.0, own - _volume(covered[(covered < reference).all(axis=1)], reference))


def _volume(losses: Losses, reference: Losses) -> float:
    """Hypervolume of rows that are all better than the reference in every column."""
    if not len(losses):
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - losses.min())
    if len(reference) == 2:
        return _area(losses, reference)
    return _slice_volume(_front(losses), reference)


def _area(losses: Losses, reference: Losses) -> float:
    """Hypervolume for two objectives: area under a staircase, best row first."""
    rows = losses[np.argsort(losses[:, 0])]
    lowest = np.minimum.accumulate(np.concatenate([reference[1:], rows[:, 1]]))
    return float((reference[0] - rows[:, 0]) @ -np.diff(lowest))


def _front(losses: Losses) -> Losses:
    """The distinct non-dominated rows.

    Rows are kept in order of their sum, and each removes the rows that it dominates. That is fast
    when a few rows dominate hundreds.
    """
    left, kept = losses[np.argsort(losses.sum(axis=1))], []
    while len(left):
        kept.append(left[0])
        left = left[(left < left[0]).any(axis=1)]
    return np.array(kept)


def _slice_volume(losses: Losses, reference: Losses) -> float:
    """Hypervolume for three and more objectives, by slices along the last one.

    Rows are added best in the last objective first. Within the box of a row, all earlier rows are
    at least as good in that objective, so it can be dropped.
    """
    rows = losses[np.argsort(losses[:, -1])]
    flat, height = rows[:, :-1], reference[-1] - rows[:, -1]
    gains = [hypervolume_gain(flat[n], flat[:n], reference[:-1]) for n in range(len(rows))]
    return float(height @ np.array(gains))

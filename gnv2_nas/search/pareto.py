"""The front: feasible candidates that no other feasible candidate dominates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.objectives import loss
from gnv2_nas.search.records import Candidate, ObjectiveName, StudyRecord


def front(record: StudyRecord) -> list[Candidate]:
    """The front of a study, best in its first objective first.

    Stock networks stand on it by the same rule as any other candidate.
    """
    return front_of(record.candidates, record.settings.objectives)


def front_of(
    candidates: Sequence[Candidate], objectives: Sequence[ObjectiveName]
) -> list[Candidate]:
    """Feasible members of `candidates` that none of them dominates in `objectives`."""
    feasible = [candidate for candidate in candidates if candidate.feasible]
    if not feasible:
        return []
    losses = np.array([[loss(candidate, name) for name in objectives] for candidate in feasible])
    kept = [n for n in np.flatnonzero(non_dominated(losses)) if np.isfinite(losses[n]).all()]
    return [feasible[n] for n in sorted(kept, key=lambda n: losses[n].tolist())]


def nearest_to_budgets(candidates: Sequence[Candidate]) -> Candidate:
    """The candidate that breaks its worst budget by the least; one that keeps all, if any does."""
    return min(candidates, key=lambda each: max(each.violations.values(), default=0.0))


def non_dominated(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows of (n, objectives) no other row dominates; less is better, ties both stay.

    A row that is at least as good everywhere and better somewhere dominates. Rows are visited
    best first, each once against those kept so far: n · front operations.
    """
    keep = np.zeros(len(losses), dtype=bool)
    kept = np.empty((0, losses.shape[1]))
    for row in np.lexsort(losses.T[::-1]):
        loss = losses[row]
        no_worse, better = (kept <= loss).all(axis=1), (kept < loss).any(axis=1)
        if not (no_worse & better).any():
            keep[row] = True
            kept = np.vstack([kept, loss])
    return keep

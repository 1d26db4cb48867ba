"""The front: feasible candidates that no other feasible candidate dominates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.objectives import DIRECTIONS
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
    losses = np.array([_losses(candidate, objectives) for candidate in feasible])
    kept = [n for n in np.flatnonzero(non_dominated(losses)) if np.isfinite(losses[n]).all()]
    return [feasible[n] for n in sorted(kept, key=lambda n: losses[n].tolist())]


def _losses(candidate: Candidate, objectives: Sequence[ObjectiveName]) -> list[float]:
    return [
        candidate.value(name) * (-1 if DIRECTIONS[name] == "maximize" else 1) for name in objectives
    ]


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

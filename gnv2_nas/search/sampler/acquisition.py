"""Greedy selection of a batch by its expected joint gain of hypervolume."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.sampler.grid import Levels
from gnv2_nas.search.sampler.scalarization import draw_directions, scalarize
from gnv2_nas.search.sampler.surrogate import Surrogate
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
    selected ones in each draw. Running trials count as selected.

    Returns:
        Rows of the (m, p) candidates, at most `count`. Candidates without an expected gain come
        last, ordered by their probability to be feasible.
    """
    running = surrogate.history.running
    losses, feasible = surrogate.draws(np.vstack([candidates, running]), DRAWS, rng)
    box, directions = surrogate.box, draw_directions(DIRECTIONS, losses.shape[2], rng)
    volumes = _volumes(box.improvements(losses), directions) * feasible[:, :, None]
    known = _volumes(box.improvements(surrogate.front), directions).max(axis=0, initial=0.0)
    volumes, taken = np.split(volumes, [len(candidates)], axis=1)
    best = np.maximum(taken.max(axis=1, initial=0.0), known)
    own = TIE_BREAK * (volumes.mean(axis=(0, 2)) + feasible[:, : len(candidates)].mean(axis=0))
    chosen: list[int] = []
    for _ in range(min(count, len(candidates))):
        gains = np.maximum(volumes - best[:, None, :], 0).mean(axis=(0, 2)) + own
        gains[chosen] = -1
        number = int(gains.argmax())
        chosen.append(number)
        np.maximum(best, volumes[:, number], out=best)
    return chosen


def _volumes(improvements: NDArray[np.float64], directions: Matrix) -> NDArray[np.float32]:
    scalarized = np.maximum(scalarize(improvements, directions), 0).astype(np.float32)
    result: NDArray[np.float32] = scalarized ** directions.shape[1]
    return result

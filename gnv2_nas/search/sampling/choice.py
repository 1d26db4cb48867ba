"""Which candidates to evaluate: those that together promise most hypervolume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.regression import Matrix, Vector
from gnv2_nas.search.sampling.directions import draw_directions, reach

DIRECTIONS = 128


@dataclass(frozen=True)
class Extent:
    """What hypervolume is measured in: improvements on a reference, in units of the range."""

    reference: Vector
    """(k,) losses from which on a point is worth nothing."""
    span: Vector
    """(k,) from the best known loss to the reference."""

    @classmethod
    def of(cls, losses: Matrix) -> Extent:
        """Of (n, k) known losses: the reference is a tenth beyond the worst."""
        best, worst = losses.min(axis=0), losses.max(axis=0)
        span = np.where(worst > best, worst - best, 1.0)
        return cls(worst + 0.1 * span, 1.1 * span)

    def improvements(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., k) losses as improvements on the reference, 1 for the best known."""
        result: NDArray[np.float64] = (self.reference - losses) / self.span
        return result


def choose(
    draws: NDArray[np.float64],
    feasible: NDArray[np.bool_],
    front: Matrix,
    extent: Extent,
    count: int,
    rng: np.random.Generator,
    taken: Sequence[int] = (),
) -> list[int]:
    """The candidates that together are expected to gain most hypervolume, one after another.

    Expected improvement by Monte Carlo (Daulton, Balandat & Bakshy, "Differentiable Expected
    Hypervolume Improvement", NeurIPS 2020, sec. 3), greedy, with hypervolume by directions: after
    each choice the gain of the others is what they add to it, in each draw.

    Args:
        draws: (s, m, k) losses that m candidates could have.
        feasible: (s, m) whether they would keep the constraints.
        front: (f, k) losses of the known front.
        taken: those of the m that are being evaluated already.

    Returns:
        Positions among the m, at most `count`; those without any gain come last.
    """
    objectives = draws.shape[2]
    directions = draw_directions(DIRECTIONS, objectives, rng)
    volumes = _volumes(extent.improvements(draws), directions)
    volumes *= feasible[:, :, None]
    known = _volumes(extent.improvements(front), directions).max(axis=0, initial=0.0)
    best = np.broadcast_to(known.astype(np.float32), (len(draws), DIRECTIONS)).copy()
    for number in taken:
        np.maximum(best, volumes[:, number], out=best)
    chosen: list[int] = []
    for _ in range(min(count, draws.shape[1] - len(taken))):
        gains = np.maximum(volumes - best[:, None, :], 0).mean(axis=(0, 2))
        gains[[*taken, *chosen]] = -1
        number = int(gains.argmax())
        chosen.append(number)
        np.maximum(best, volumes[:, number], out=best)
    return chosen


def _volumes(improvements: NDArray[np.float64], directions: Matrix) -> NDArray[np.float32]:
    objectives = directions.shape[1]
    result: NDArray[np.float32] = (
        np.maximum(reach(improvements, directions), 0).astype(np.float32) ** objectives
    )
    return result

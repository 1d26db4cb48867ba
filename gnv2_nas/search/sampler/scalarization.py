"""Hypervolume as an average over directions, which costs the same for any number of objectives.

Zhang & Golovin ("Random Hypervolume Scalarizations for Provable Multi-Objective Black Box
Optimization", ICML 2020, lemma 5): the hypervolume of points that improve on a reference by
a₁ … a_k is a constant times the mean, over directions λ of the positive unit sphere, of the
largest min_i (a_i / λ_i)^k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.stats.ridge import Matrix, Vector

_MIN_COMPONENT = 1e-6


def draw_directions(count: int, objectives: int, rng: np.random.Generator) -> Matrix:
    """(count, objectives) directions, uniform on the positive part of the unit sphere."""
    normal = np.abs(rng.standard_normal((count, objectives)))
    result: Matrix = np.maximum(
        normal / np.linalg.norm(normal, axis=1, keepdims=True), _MIN_COMPONENT
    )
    return result


def scalarize(improvements: NDArray[np.float64], directions: Matrix) -> NDArray[np.float64]:
    """Length of each point along each direction: (..., k) and (d, k) → (..., d).

    Negative if the point is worse than the reference in some objective.
    """
    result = improvements[..., None, 0] / directions[:, 0]
    for objective in range(1, directions.shape[1]):
        np.minimum(
            result, improvements[..., None, objective] / directions[:, objective], out=result
        )
    return result


@dataclass(frozen=True)
class ReferenceBox:
    """The box of the hypervolume: improvements on a reference, in units of the range."""

    reference: Vector
    """(k,) losses of the reference: a point that is worse counts nothing."""
    span: Vector
    """(k,) distance from the best known loss to the reference."""

    @classmethod
    def of(cls, losses: Matrix) -> ReferenceBox:
        """The box of (n, k) known losses; the reference lies a tenth beyond the worst."""
        best, worst = losses.min(axis=0), losses.max(axis=0)
        span = np.where(worst > best, worst - best, 1.0)
        return cls(worst + 0.1 * span, 1.1 * span)

    def improvements(self, losses: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., k) improvements of losses on the reference; 1 is the best known loss."""
        result: NDArray[np.float64] = (self.reference - losses) / self.span
        return result

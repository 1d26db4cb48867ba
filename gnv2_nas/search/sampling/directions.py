"""Hypervolume as an average over directions, which costs the same for any number of objectives.

Zhang & Golovin ("Random Hypervolume Scalarizations for Provable Multi-Objective Black Box
Optimization", ICML 2020, lemma 5): the hypervolume of points that improve on a reference by
a₁ … a_k is a constant times the mean, over directions λ of the positive unit sphere, of the
largest min_i (a_i / λ_i)^k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.regression import Matrix

_LEAST = 1e-6


def draw_directions(count: int, objectives: int, rng: np.random.Generator) -> Matrix:
    """(count, objectives) directions, uniform on the positive part of the unit sphere."""
    normal = np.abs(rng.standard_normal((count, objectives)))
    result: Matrix = np.maximum(normal / np.linalg.norm(normal, axis=1, keepdims=True), _LEAST)
    return result


def reach(improvements: NDArray[np.float64], directions: Matrix) -> NDArray[np.float64]:
    """How far each point reaches in each direction: (..., k) and (d, k) → (..., d).

    Negative where a point is worse than the reference in some objective; the less, the nearer.
    """
    result = improvements[..., None, 0] / directions[:, 0]
    for objective in range(1, directions.shape[1]):
        np.minimum(
            result, improvements[..., None, objective] / directions[:, objective], out=result
        )
    return result

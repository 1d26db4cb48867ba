"""Ridge regression in closed form with error bars, and predictions of networks left out.

An error is taken only from outcomes that the model had not seen (`predict_held_out`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

PENALTIES = np.logspace(-1, 5, 25)


@dataclass(frozen=True)
class Ridge:
    """A fitted regression of d features; NaN in a feature stands for its mean."""

    centre: Vector
    """(d,) mean of each feature."""
    scale: Vector
    """(d,) standard deviation; infinite for a feature that never changed, which then counts 0."""
    weights: Vector
    """(d,) of the standardised features."""
    known: Matrix
    """(r, d) directions the data taught about, each as long as it was certain (below 1)."""
    intercept: float
    penalty: float
    noise: float
    """Standard deviation of a single outcome around a prediction that was certain."""

    def predict(self, features: Matrix) -> tuple[Vector, Vector]:
        """Mean and standard deviation of the outcome for each row of (n, d) features."""
        rows = standardize(features, self.centre, self.scale)
        unknown = (rows**2).sum(axis=1) - ((rows @ self.known.T) ** 2).sum(axis=1)
        spread = np.sqrt(1 + np.maximum(unknown, 0) / self.penalty)
        return rows @ self.weights + self.intercept, self.noise * spread


def fit_ridge(
    features: Matrix,
    outcomes: Vector,
    weights: Vector | None = None,
    *,
    min_scale: float = 0.0,
    max_penalty: float = math.inf,
) -> Ridge:
    """The regression of (n,) outcomes on (n, d) features with the best leave-one-out error.

    Args:
        features: NaN stands for a feature's mean.
        outcomes: what is to be predicted.
        weights: (n,) how much each outcome counts, in proportion to one over its variance; all
            the same without. `noise` is that of an outcome of average weight.
        min_scale: a feature that varied less, or never, is divided by this: a row in which it
            does vary is then predicted with a wide error bar. With 0 one that never changed
            counts 0 for good.
        max_penalty: a larger one is not tried. The larger it is, the surer is the regression
            that features make no difference, of rows unlike all the others, too.
    """
    weight = np.ones(len(outcomes)) if weights is None else weights / weights.mean()
    root = np.sqrt(weight)
    known = ~np.isnan(features) * weight[:, None]
    counts = np.maximum(known.sum(axis=0), 1e-300)
    centre = (known * np.nan_to_num(features)).sum(axis=0) / counts
    deviations = np.nan_to_num(features - centre)
    scale = np.maximum(np.sqrt((weight[:, None] * deviations**2).mean(axis=0)), min_scale)
    scale[scale < 1e-9] = np.inf
    intercept = float((weight * outcomes).mean())
    rows = standardize(features, centre, scale) * root[:, None]
    centred = (outcomes - intercept) * root
    u, s, vt = np.linalg.svd(rows, full_matrices=False)
    tried = PENALTIES[max_penalty >= PENALTIES]
    penalty, noise = _best_penalty(u, s, centred, weight / len(outcomes), tried)
    shrunk = s / (s**2 + penalty)
    return Ridge(
        centre=centre,
        scale=scale,
        weights=vt.T @ (shrunk * (u.T @ centred)),
        known=vt * np.sqrt(s * shrunk)[:, None],
        intercept=intercept,
        penalty=penalty,
        noise=noise,
    )


def standardize(features: Matrix, centre: Vector, scale: Vector) -> Matrix:
    """Features in deviations from their mean; NaN, and an infinite scale, stand for the mean."""
    result: Matrix = np.nan_to_num((features - centre) / scale)
    return result


def _best_penalty(
    u: Matrix, s: Vector, centred: Vector, of_mean: Vector, tried: Vector
) -> tuple[float, float]:
    """The penalty of the least leave-one-out error, and the noise it leaves.

    Args:
        u: left singular vectors of the weighted features.
        s: singular values.
        centred: weighted outcomes less the intercept.
        of_mean: the share that each outcome has in the intercept.
        tried: penalties.
    """
    best = (np.inf, float(tried[-1]), 0.0)
    projected = u.T @ centred
    for penalty in tried:
        kept = s**2 / (s**2 + penalty)
        residuals = centred - u @ (kept * projected)
        # 1 less the leverage of each outcome.
        free = np.maximum(1 - (u**2) @ kept - of_mean, 1e-6)
        error = float(((residuals / free) ** 2).mean())
        if error < best[0]:
            best = (error, float(penalty), float(np.sqrt((residuals**2 / free).mean())))
    return best[1], best[2]


FOLDS = 10

Numbers = NDArray[np.intp]
FitAndPredict = Callable[[Numbers, Numbers], Vector]
"""(outcomes to learn from, others), by number → what is predicted of the others."""


def folds(total: int, count: int = FOLDS) -> list[Numbers]:
    """Numbers 0 to total - 1 in `count` parts drawn at random, the same ones every time.

    As many parts as numbers leave one out at a time.
    """
    order = np.random.default_rng(0).permutation(total)
    return np.array_split(order, min(count, total))


def predict_held_out(
    parts: Sequence[Numbers], total: int, fit_and_predict: FitAndPredict
) -> Vector:
    """(total,) predictions, each part's by a model of all the others; NaN for what is in no part.

    Cross-validation where the parts are `folds`, a single held-out set where there is one part.
    """
    predicted = np.full(total, np.nan)
    for part in parts:
        known = np.delete(np.arange(total), part)
        predicted[part] = fit_and_predict(known, part)
    return predicted

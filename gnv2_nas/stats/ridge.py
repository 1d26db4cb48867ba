"""Ridge regression in closed form with error bars, held-out predictions, and its JSON file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

PENALTIES = np.logspace(-1, 5, 25)


@dataclass(frozen=True)
class Ridge:
    """A fitted regression on d features; NaN in a feature stands for its mean."""

    centre: Vector
    """(d,) mean of each feature."""
    scale: Vector
    """(d,) standard deviation; infinite for a constant feature, whose effect is then 0."""
    weights: Vector
    """(d,) weights of the standardized features."""
    known: Matrix
    """(r, d) right singular vectors scaled by sqrt(s² / (s² + λ)): directions that the data
    constrain."""
    intercept: float
    penalty: float
    noise: float
    """Standard deviation of a single outcome around an exact prediction."""

    def predict(self, features: Matrix) -> tuple[Vector, Vector]:
        """Return (n,) means and standard deviations of the outcomes for (n, d) features."""
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
    """Fit (n,) outcomes on (n, d) features with the penalty of the lowest leave-one-out error.

    Args:
        features: NaN stands for a feature's mean.
        outcomes: values to predict.
        weights: (n,) weights of the outcomes, proportional to their inverse variances (default:
            equal). `noise` is that of an outcome of average weight.
        min_scale: lower bound on the scale of a feature. A row that deviates in a feature that
            hardly varied then gets a wide error bar. With 0, a constant feature has no effect.
        max_penalty: upper bound on the penalty. A large penalty makes the regression confident
            that features make no difference, also for rows unlike all others.
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
    """Return standardized features; NaN and an infinite scale stand for the mean."""
    result: Matrix = np.nan_to_num((features - centre) / scale)
    return result


def _best_penalty(
    u: Matrix, s: Vector, centred: Vector, of_mean: Vector, tried: Vector
) -> tuple[float, float]:
    """Return the penalty of the lowest leave-one-out error, and its residual noise.

    Args:
        u: left singular vectors of the weighted features.
        s: singular values.
        centred: weighted outcomes minus the intercept.
        of_mean: share of each outcome in the intercept.
        tried: penalties to try.
    """
    best = (np.inf, float(tried[-1]), 0.0)
    projected = u.T @ centred
    for penalty in tried:
        kept = s**2 / (s**2 + penalty)
        residuals = centred - u @ (kept * projected)
        # 1 minus the leverage of each outcome.
        free = np.maximum(1 - (u**2) @ kept - of_mean, 1e-6)
        error = float(((residuals / free) ** 2).mean())
        if error < best[0]:
            best = (error, float(penalty), float(np.sqrt((residuals**2 / free).mean())))
    return best[1], best[2]


FOLDS = 10

Numbers = NDArray[np.intp]
FitAndPredict = Callable[[Numbers, Numbers], Vector]
"""Maps indices of outcomes to learn from, and of others, to predictions of the others."""


def folds(total: int, count: int = FOLDS) -> list[Numbers]:
    """Return the indices 0 to total - 1 in `count` random parts, always the same ones.

    With `count = total`, each part is a single index (leave-one-out).
    """
    order = np.random.default_rng(0).permutation(total)
    return np.array_split(order, min(count, total))


def predict_held_out(
    parts: Sequence[Numbers], total: int, fit_and_predict: FitAndPredict
) -> Vector:
    """Return (total,) predictions, each part's by a model of all others; NaN outside the parts.

    This is cross-validation if the parts are `folds`, and a held-out set if there is one part.
    """
    predicted = np.full(total, np.nan)
    for part in parts:
        known = np.delete(np.arange(total), part)
        predicted[part] = fit_and_predict(known, part)
    return predicted


_FLOAT64 = np.dtype("<f8")


class RidgeRecord(msgspec.Struct, frozen=True):
    """A `Ridge` with its arrays as bytes."""

    centre: bytes
    scale: bytes
    weights: bytes
    known: bytes
    intercept: float
    penalty: float
    noise: float

    @classmethod
    def of(cls, ridge: Ridge) -> Self:
        return cls(
            centre=_bytes(ridge.centre),
            scale=_bytes(ridge.scale),
            weights=_bytes(ridge.weights),
            known=_bytes(ridge.known),
            intercept=ridge.intercept,
            penalty=ridge.penalty,
            noise=ridge.noise,
        )

    def ridge(self, features: int) -> Ridge:
        """Return the regression.

        Args:
            features: expected number of features.

        Raises:
            ValueError: the arrays have another size, or contain invalid numbers.
        """
        vectors = (self.centre, self.scale, self.weights)
        size = features * _FLOAT64.itemsize
        if any(len(data) != size for data in vectors) or len(self.known) % size:
            raise ValueError("arrays of another size")
        centre, scale, weights = map(_vector, vectors)
        known = _vector(self.known).reshape(-1, features)
        finite = (centre, weights, known)
        # An infinite scale stands for a constant feature.
        usable = all(np.isfinite(array).all() for array in finite) and bool((scale > 0).all())
        if not usable or not self.penalty > 0 or self.noise < 0:
            raise ValueError("numbers that no regression has")
        return Ridge(centre, scale, weights, known, self.intercept, self.penalty, self.noise)


def _bytes(array: Matrix) -> bytes:
    return array.astype(_FLOAT64).tobytes()


def _vector(data: bytes) -> Vector:
    return np.frombuffer(data, _FLOAT64)


Record = TypeVar("Record", bound=msgspec.Struct)

MAX_BYTES = 64 << 20
"""Models of the largest spaces have one million bytes."""


def read_model_record(path: Path, kind: type[Record], what: str, error: type[Exception]) -> Record:
    """Read the record in a file.

    Args:
        what: "a MODEL that COMMAND wrote", for the message.
        error: type of the error if the file is missing or invalid.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise error(f"{path}: too large for {what}")
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as refused:
        raise error(f"cannot read {str(path)!r}: {refused.strerror or refused}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as wrong:
        raise error(f"{path}: not {what}: {wrong}") from None


def restore_ridge(path: Path, stored: RidgeRecord, features: int, error: type[Exception]) -> Ridge:
    """Return the regression of a file; raise `error` if it is corrupt."""
    try:
        return stored.ridge(features)
    except ValueError:
        raise error(describe_corruption(path)) from None


def describe_corruption(path: Path) -> str:
    """Return the message for a file whose numbers make no model."""
    return f"{path}: corrupt file (inconsistent array sizes or invalid numbers); fit it again"

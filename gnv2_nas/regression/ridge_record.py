"""A fitted ridge regression as it is kept in JSON: arrays as little-endian float64 in base64."""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np

from gnv2_nas.regression.ridge import Matrix, Ridge, Vector

_FLOAT64 = np.dtype("<f8")


class RidgeRecord(msgspec.Struct, frozen=True):
    """`Ridge` with its arrays as bytes."""

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
        """The regression of so many features.

        Raises:
            ValueError: the arrays are of another size, or hold what is no number.
        """
        vectors = (self.centre, self.scale, self.weights)
        size = features * _FLOAT64.itemsize
        if any(len(data) != size for data in vectors) or len(self.known) % size:
            raise ValueError("arrays of another size")
        centre, scale, weights = map(_vector, vectors)
        known = _vector(self.known).reshape(-1, features)
        finite = (centre, weights, known)
        # An infinite scale stands for a feature that never changed.
        usable = all(np.isfinite(array).all() for array in finite) and bool((scale > 0).all())
        if not usable or not self.penalty > 0 or self.noise < 0:
            raise ValueError("numbers that no regression has")
        return Ridge(centre, scale, weights, known, self.intercept, self.penalty, self.noise)


def _bytes(array: Matrix) -> bytes:
    return array.astype(_FLOAT64).tobytes()


def _vector(data: bytes) -> Vector:
    return np.frombuffer(data, _FLOAT64)

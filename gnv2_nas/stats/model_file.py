"""Files of models that hold a ridge regression: JSON with arrays in base64, never unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Self, TypeVar

import msgspec
import numpy as np

from gnv2_nas.stats.ridge import Matrix, Ridge, Vector

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


Record = TypeVar("Record", bound=msgspec.Struct)

LARGEST = 64 << 20
"""Bytes; models of the largest spaces have one million."""


def read_record(path: Path, kind: type[Record], what: str, error: type[Exception]) -> Record:
    """The record in a file.

    Args:
        what: "a MODEL that COMMAND wrote", for the message.
        error: raised with a message when it is not there or not one.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise error(f"{path}: too large for {what}")
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as refused:
        raise error(f"cannot read {str(path)!r}: {refused.strerror or refused}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as wrong:
        raise error(f"{path}: not {what}: {wrong}") from None


def restore_ridge(path: Path, stored: RidgeRecord, features: int, error: type[Exception]) -> Ridge:
    """The regression of so many features that a file holds; `error` when it is damaged."""
    try:
        return stored.ridge(features)
    except ValueError:
        raise error(damaged(path)) from None


def damaged(path: Path) -> str:
    """What to say of a file whose numbers make no model."""
    return f"{path}: damaged, its numbers do not fit together; fit it again"

"""Files of models with a ridge regression: JSON with arrays in base64."""

from __future__ import annotations

from pathlib import Path
from typing import Self, TypeVar

import msgspec
import numpy as np

from gnv2_nas.stats.ridge import Matrix, Ridge, Vector

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

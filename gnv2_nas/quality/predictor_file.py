"""Files of accuracy predictors: JSON with arrays in base64, checked when read, never unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from gnv2_nas.arch import Envelope
from gnv2_nas.errors import CheckpointError
from gnv2_nas.files import write_atomically
from gnv2_nas.quality.cross_validation import HeldOutError
from gnv2_nas.quality.predictor import Predictor
from gnv2_nas.quality.predictor_features import Matrix, column_names
from gnv2_nas.regression.ridge import Ridge, Vector

_LARGEST = 64 << 20
"""Bytes; a predictor of the largest space has one."""

_FLOAT64 = np.dtype("<f8")


class _Ridge(msgspec.Struct, frozen=True):
    """`Ridge` with its arrays as little-endian float64."""

    centre: bytes
    scale: bytes
    weights: bytes
    known: bytes
    intercept: float
    penalty: float
    noise: float


class _Record(msgspec.Struct, frozen=True, tag="gnv2-nas accuracy predictor", tag_field="type"):
    version: Literal[1]
    space: str
    space_hash: str
    source: str
    networks: int
    errors: tuple[HeldOutError, ...]
    columns: list[str]
    """Names of the features; a file with others was written by another version."""
    envelope: Envelope
    ridge: _Ridge


def save_predictor(predictor: Predictor, path: Path) -> None:
    """Write the predictor; an older file is replaced at once or not at all.

    Raises:
        StorageError: the disk refused.
    """
    ridge = predictor.ridge
    record = _Record(
        version=1,
        space=predictor.space,
        space_hash=predictor.space_hash,
        source=predictor.source,
        networks=predictor.networks,
        errors=predictor.errors,
        columns=column_names(predictor.envelope),
        envelope=predictor.envelope,
        ridge=_Ridge(
            centre=_bytes(ridge.centre),
            scale=_bytes(ridge.scale),
            weights=_bytes(ridge.weights),
            known=_bytes(ridge.known),
            intercept=ridge.intercept,
            penalty=ridge.penalty,
            noise=ridge.noise,
        ),
    )
    write_atomically(path, msgspec.json.encode(record) + b"\n")


def load_predictor(path: Path) -> Predictor:
    """The predictor in a file.

    Raises:
        CheckpointError: not a predictor, of another version, or damaged.
    """
    record = _read(path)
    columns = len(record.columns)
    if record.columns != column_names(record.envelope) or not record.errors:
        raise CheckpointError(
            f"{path}: a predictor of other features, from another version of gnv2-nas; fit it again"
        )
    return Predictor(
        space=record.space,
        space_hash=record.space_hash,
        envelope=record.envelope,
        ridge=_ridge(path, record.ridge, columns),
        source=record.source,
        networks=record.networks,
        errors=record.errors,
    )


def _read(path: Path) -> _Record:
    try:
        if path.stat().st_size > _LARGEST:
            raise CheckpointError(f"{path}: too large for an accuracy predictor")
        return msgspec.json.decode(path.read_bytes(), type=_Record)
    except OSError as error:
        raise CheckpointError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not an accuracy predictor that gnv2-nas quality fit wrote: {error}"
        ) from None


def _ridge(path: Path, stored: _Ridge, columns: int) -> Ridge:
    vectors = (stored.centre, stored.scale, stored.weights)
    size = columns * _FLOAT64.itemsize
    if any(len(data) != size for data in vectors) or len(stored.known) % size:
        raise _damaged(path)
    ridge = Ridge(
        centre=_vector(stored.centre),
        scale=_vector(stored.scale),
        weights=_vector(stored.weights),
        known=np.frombuffer(stored.known, _FLOAT64).reshape(-1, columns),
        intercept=stored.intercept,
        penalty=stored.penalty,
        noise=stored.noise,
    )
    if any(np.isnan(array).any() for array in (ridge.centre, ridge.scale, ridge.weights)):
        raise _damaged(path)
    return ridge


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(f"{path}: damaged, its numbers do not fit together; fit it again")


def _bytes(array: Matrix) -> bytes:
    return array.astype(_FLOAT64).tobytes()


def _vector(data: bytes) -> Vector:
    return np.frombuffer(data, _FLOAT64)

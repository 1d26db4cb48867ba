"""Files of accuracy predictors: JSON with arrays in base64, checked when read, never unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from gnv2_nas.arch import Envelope
from gnv2_nas.errors import CheckpointError
from gnv2_nas.files import write_atomically
from gnv2_nas.quality.cross_validation import HeldOutError
from gnv2_nas.quality.predictor import Predictor
from gnv2_nas.quality.predictor_features import column_names
from gnv2_nas.regression.ridge import Ridge
from gnv2_nas.regression.ridge_record import RidgeRecord

_LARGEST = 64 << 20
"""Bytes; a predictor of the largest space has one."""


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
    ridge: RidgeRecord


def save_predictor(predictor: Predictor, path: Path) -> None:
    """Write the predictor; an older file is replaced at once or not at all.

    Raises:
        StorageError: the disk refused.
    """
    record = _Record(
        version=1,
        space=predictor.space,
        space_hash=predictor.space_hash,
        source=predictor.source,
        networks=predictor.networks,
        errors=predictor.errors,
        columns=column_names(predictor.envelope),
        envelope=predictor.envelope,
        ridge=RidgeRecord.of(predictor.ridge),
    )
    write_atomically(path, msgspec.json.encode(record) + b"\n")


def load_predictor(path: Path) -> Predictor:
    """The predictor in a file.

    Raises:
        CheckpointError: not a predictor, of another version, or damaged.
    """
    record = _read(path)
    if record.columns != column_names(record.envelope) or not record.errors:
        raise CheckpointError(
            f"{path}: a predictor of other features, from another version of gnv2-nas; fit it again"
        )
    return Predictor(
        space=record.space,
        space_hash=record.space_hash,
        envelope=record.envelope,
        ridge=_ridge(path, record.ridge, len(record.columns)),
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


def _ridge(path: Path, stored: RidgeRecord, columns: int) -> Ridge:
    try:
        return stored.ridge(columns)
    except ValueError:
        raise CheckpointError(
            f"{path}: damaged, its numbers do not fit together; fit it again"
        ) from None

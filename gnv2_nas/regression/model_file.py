"""Files of models that hold a ridge regression: JSON, checked when read, never unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from gnv2_nas.regression.ridge import Ridge
from gnv2_nas.regression.ridge_record import RidgeRecord

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


def stored_ridge(path: Path, stored: RidgeRecord, features: int, error: type[Exception]) -> Ridge:
    """The regression of so many features that a file holds; `error` when it is damaged."""
    try:
        return stored.ridge(features)
    except ValueError:
        raise error(damaged(path)) from None


def damaged(path: Path) -> str:
    """What to say of a file whose numbers make no model."""
    return f"{path}: damaged, its numbers do not fit together; fit it again"

"""Supernet files: safetensors with a `SupernetRecord` as JSON in the metadata."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import torch as safetensors_torch
from torch import Tensor

from gnv2_nas.arch import SupernetSpec
from gnv2_nas.checkpoints.contents import SUPERNET_KEY
from gnv2_nas.checkpoints.metadata import SupernetRecord, read_supernet_record
from gnv2_nas.errors import CheckpointError, first_line
from gnv2_nas.files.file_sets import write_set
from gnv2_nas.nn.supernet.supernet import Supernet

__all__ = ["SupernetRecord", "load_supernet", "read_supernet_record", "save_supernet"]

_MAX_LISTED = 4
"""Number of keys of a kind that a message lists."""


def save_supernet(
    supernet: Supernet,
    record: SupernetRecord,
    path: str | os.PathLike[str],
    *,
    beside: Mapping[Path, bytes | str] | None = None,
) -> None:
    """Write the shared weights and their record.

    Args:
        supernet: the supernet.
        record: goes into the metadata.
        path: the file.
        beside: further files of the same folder, replaced together with the weights.

    Raises:
        StorageError: a file cannot be written; older files stay unchanged.
    """
    tensors = {
        key: value.detach().cpu().contiguous() for key, value in supernet.state_dict().items()
    }
    metadata = {"format": "pt", SUPERNET_KEY: record.to_json()}
    write_set({Path(path): safetensors_torch.save(tensors, metadata), **(beside or {})})


def load_supernet(path: str | os.PathLike[str]) -> tuple[Supernet, SupernetRecord]:
    """The supernet in a file, on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged or not a supernet; or its weights do not fit
            its record or are not finite.
    """
    file, source = Path(path), repr(str(path))
    record = read_supernet_record(file)
    supernet = _empty(record.supernet_spec, source)
    try:
        tensors = safetensors_torch.load_file(file)
    except Exception as error:
        reason = first_line(error)
        raise CheckpointError(f"{source} cannot be read: {reason}") from None
    _check(supernet.state_dict(), tensors, source)
    supernet.load_state_dict(tensors, strict=True, assign=True)
    return supernet, record


def _empty(supernet_spec: SupernetSpec, source: str) -> Supernet:
    """A supernet without values, so that no initial weights are drawn."""
    try:
        with torch.device("meta"):
            return Supernet(supernet_spec)
    except Exception as error:
        raise CheckpointError(
            f"{source}: its specification describes no supernet ({type(error).__name__})"
        ) from None


def _check(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], source: str) -> None:
    """Check that keys, shapes and types agree and all values are finite."""
    equal = [key for key in expected if key in found and _same_kind(expected[key], found[key])]
    differences = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "of another shape or type": [
            key for key in expected if key in found and not _same_kind(expected[key], found[key])
        ],
        "not finite": [key for key in equal if not torch.isfinite(found[key]).all()],
    }
    texts = [f"{len(keys)} {kind} ({_join(keys)})" for kind, keys in differences.items() if keys]
    if texts:
        raise CheckpointError(f"{source} does not fit its own record: {'; '.join(texts)}")


def _same_kind(expected: Tensor, found: Tensor) -> bool:
    return expected.shape == found.shape and expected.dtype == found.dtype


def _join(keys: Sequence[str]) -> str:
    return ", ".join(keys[:_MAX_LISTED]) + (" …" if len(keys) > _MAX_LISTED else "")

"""The table of contents of a checkpoint file, before any value is read.

The formats (safetensors, torch's zip and torch's older one) are told apart by content, never by
name, and each has its table of contents in a place of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.pickle_scan import TensorInfo
from gnv2_nas.graph.torch_contents import MAX_INDEX_BYTES, legacy_object, unwrapped, zip_object

ARCHITECTURE_KEY = "architecture"
"""In the metadata of our own safetensors files: the network as JSON."""
PREPROCESSING_KEY = "preprocessing"
"""There too: how an image becomes the network's input, as JSON."""
TRAINING_KEY = "training"
"""There too: how the weights came about, as JSON of a `TrainingRecord`."""
SUPERNET_KEY = "supernet"
"""In the metadata of a supernet's file."""

_SAFETENSORS_TYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
}


class Contents(msgspec.Struct, frozen=True):
    """The table of contents of a checkpoint file."""

    format: Literal["safetensors", "torch"]
    tensors: Mapping[str, TensorInfo]
    architecture: str = ""
    """JSON of the network the weights belong to; "" where the file does not say."""
    preprocessing: str = ""
    """JSON of how an image becomes its input; "" where the file does not say."""
    training: str = ""
    """JSON of how the weights came about; "" where the file does not say."""
    supernet: str = ""
    """JSON of what a supernet is of; "" where the file is of one network."""


def read_contents(path: Path) -> Contents:
    """What a checkpoint file holds; no value is read and nothing in it is run.

    Raises:
        CheckpointError: no such file, not a checkpoint, damaged, or holds code.
    """
    source = repr(str(path))
    try:
        _check_file(path)
        with path.open("rb") as file:
            return _contents(file, path.stat().st_size)
    except CheckpointError as error:
        raise CheckpointError(f"{source} {error}") from None
    except OSError as error:
        raise CheckpointError(f"{source} cannot be read: {error.strerror or error}") from None


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise CheckpointError("is a folder; a checkpoint file is needed")
    if not path.exists():
        raise CheckpointError("does not exist; a checkpoint file is needed")
    if not path.is_file():
        raise CheckpointError("is not a regular file; a checkpoint file is needed")
    if path.stat().st_size == 0:
        raise CheckpointError("is empty; a checkpoint file is needed")


def _contents(file: IO[bytes], size: int) -> Contents:
    start = file.read(9)
    file.seek(0)
    if start[:4] == b"PK\x03\x04":
        return Contents("torch", unwrapped(zip_object(file)))
    if start[8:] == b"{":
        return safetensors_contents(file, size)
    return Contents("torch", unwrapped(legacy_object(file, size)))


def safetensors_contents(file: IO[bytes], size: int) -> Contents:
    """Eight bytes of length, a JSON header, the values."""
    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise CheckpointError("is truncated, or not a checkpoint; get it again")
    try:
        header = json.loads(file.read(min(length, MAX_INDEX_BYTES)))
        metadata = header.pop("__metadata__", {})
        tensors = {key: _safetensors_info(entry) for key, entry in header.items()}
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        said = [
            str(metadata.get(key, ""))
            for key in (ARCHITECTURE_KEY, PREPROCESSING_KEY, TRAINING_KEY, SUPERNET_KEY)
        ]
    except Exception as error:
        raise CheckpointError(
            f"has a damaged safetensors header ({type(error).__name__})"
        ) from None
    if 8 + length + end != size:
        raise CheckpointError(f"is truncated: {8 + length + end} bytes expected, {size} found")
    return Contents("safetensors", unwrapped(tensors), *said)


def _safetensors_info(entry: dict[str, Any]) -> TensorInfo:
    dtype, width = _SAFETENSORS_TYPES.get(entry["dtype"], (entry["dtype"], 0))
    shape = tuple(map(int, entry["shape"]))
    begin, end = entry["data_offsets"]
    if width and end - begin != math.prod(shape) * width:
        raise ValueError("offsets do not match the shape")
    return TensorInfo(dtype, shape)

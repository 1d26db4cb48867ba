"""The table of contents of a checkpoint file, before any value is read.

The formats (safetensors, torch's zip and torch's older one) are told apart by content, never by
name, and each has its table of contents in a place of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec

from gnv2_nas.checkpoints.torch_contents import TorchFile
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.compatibility import Storage, TensorInfo

ARCHITECTURE_KEY = "architecture"
"""In the metadata of our own safetensors files: the network as JSON."""
PREPROCESSING_KEY = "preprocessing"
"""There too: how an image becomes the network's input, as JSON."""
STEPS_KEY = "preprocessing_steps"
"""There too, for people: the same as sentences, a line each."""
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

_Length = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]
MAX_HEADER_BYTES = 100_000_000


class Contents(msgspec.Struct, frozen=True):
    """The table of contents of a checkpoint file."""

    format: Literal["safetensors", "torch"]
    loaded: Any
    """What was saved, mostly a mapping; its tensors as `TensorInfo`."""
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
    if is_safetensors(start):
        return safetensors_contents(file, size)
    return Contents("torch", TorchFile(file, size).loaded)


def is_safetensors(start: bytes) -> bool:
    """Whether a file that begins with these nine bytes may be one."""
    return start[8:9] == b"{" and start[:4] != b"PK\x03\x04"


class _Entry(msgspec.Struct, frozen=True):
    """Of one tensor in a safetensors header."""

    dtype: Annotated[str, msgspec.Meta(max_length=16)]
    shape: Annotated[tuple[_Length, ...], msgspec.Meta(max_length=64)]
    data_offsets: tuple[_Length, _Length]


def safetensors_contents(file: IO[bytes], size: int) -> Contents:
    """Eight bytes of length, a JSON header, the values."""
    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise CheckpointError("is truncated, or not a checkpoint; get it again")
    if length > MAX_HEADER_BYTES:
        raise CheckpointError("has a safetensors header of over 100 MB, which no weights need")
    try:
        header = msgspec.json.decode(file.read(length), type=dict[str, msgspec.Raw])
        metadata = msgspec.json.decode(header.pop("__metadata__", b"{}"), type=dict[str, str])
        entries = {key: msgspec.json.decode(raw, type=_Entry) for key, raw in header.items()}
        tensors = {key: _safetensors_info(key, entry) for key, entry in entries.items()}
        end = _end(entry.data_offsets for entry in entries.values())
    except Exception as error:
        raise CheckpointError(
            f"has a damaged safetensors header ({type(error).__name__})"
        ) from None
    if 8 + length + end != size:
        raise CheckpointError(f"is truncated: {8 + length + end} bytes expected, {size} found")
    keys = (ARCHITECTURE_KEY, PREPROCESSING_KEY, TRAINING_KEY, SUPERNET_KEY)
    return Contents("safetensors", tensors, *(metadata.get(key, "") for key in keys))


def _end(offsets: Iterable[tuple[int, int]]) -> int:
    """Where the last of the values ends; each must begin where another one ends."""
    end = 0
    for begin, after in sorted(offsets):
        if begin != end:
            raise ValueError("values overlap, or leave a gap")
        end = after
    return end


def _safetensors_info(key: str, entry: _Entry) -> TensorInfo:
    dtype, width = _SAFETENSORS_TYPES.get(entry.dtype, (entry.dtype, 0))
    begin, end = entry.data_offsets
    if end < begin or (width and end - begin != math.prod(entry.shape) * width):
        raise ValueError("offsets do not match the shape")
    storage = Storage(key, dtype, end - begin, math.prod(entry.shape))
    return TensorInfo(dtype, entry.shape, storage)

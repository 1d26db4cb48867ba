"""Checkpoint files before their values are read: what they hold, and whether that fits a network.

All of it without torch, so that a wrong file is refused at once: the formats (safetensors, torch's
zip and torch's older one) are told apart by content, never by name, and each has its table of
contents in a place of its own.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import msgspec

from gnv2_nas.arch import Architecture, Preprocessing
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.fit import check_architecture, check_tensors
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.pickle_scan import PickleScan, TensorInfo
from gnv2_nas.graph.training_record import TrainingRecord

T = TypeVar("T")

ARCHITECTURE_KEY = "architecture"
"""In the metadata of our own safetensors files: the network as JSON."""
PREPROCESSING_KEY = "preprocessing"
"""There too: how an image becomes the network's input, as JSON."""
TRAINING_KEY = "training"
"""There too: how the weights came about, as JSON of a `TrainingRecord`."""
SUPERNET_KEY = "supernet"
"""In the metadata of a supernet's file."""

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_MAX_INDEX_BYTES = 100_000_000
_WRAPPERS = ("state_dict", "model")
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


def check_checkpoint(path: Path, arch: Architecture) -> Contents:
    """The contents of a checkpoint file that fits `arch`.

    Raises:
        CheckpointError: no such file, not a checkpoint, damaged, holds code, or does not fit;
            one line that names everything that does not fit.
    """
    contents = read_contents(path)
    source = repr(str(path))
    if contents.supernet:
        raise CheckpointError(
            f"{source} is a supernet, not the weights of one network; take a network out of it "
            "with gnv2-nas train NETWORK --from-supernet FILE"
        )
    if contents.architecture:
        check_architecture(_parsed(contents.architecture, source), arch, source)
    check_tensors(lower(arch), contents.tensors, source)
    return contents


def read_architecture(path: Path) -> Architecture:
    """The network that a checkpoint file of our own is of.

    Raises:
        CheckpointError: see `read_contents`; or the file does not say which network it is of.
    """
    contents, source = read_contents(path), repr(str(path))
    if contents.supernet:
        raise CheckpointError(
            f"{source} is a supernet: it holds every network of a space, and none is named"
        )
    if not contents.architecture:
        raise CheckpointError(f"{source} does not say which network it is of")
    return _parsed(contents.architecture, source)


def read_preprocessing(path: Path) -> Preprocessing | None:
    """How an image becomes the input of the weights in a file; None where it does not say.

    Raises:
        CheckpointError: see `read_contents`; or what it says cannot be read.
    """
    text = read_contents(path).preprocessing
    return _from_metadata(Preprocessing.from_json, text, path) if text else None


def read_training(path: Path) -> TrainingRecord | None:
    """How the weights in a file came about; None where it does not say.

    Raises:
        CheckpointError: see `read_contents`; or what it says cannot be read.
    """
    text = read_contents(path).training
    return _from_metadata(TrainingRecord.from_json, text, path) if text else None


def _parsed(text: str, source: str | Path) -> Architecture:
    return _from_metadata(Architecture.from_json, text, source)


def _from_metadata(read: Callable[[str], T], text: str, source: str | Path) -> T:
    try:
        return read(text)
    except Exception as error:
        raise CheckpointError(f"{source}: its metadata holds {error}") from None


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
        return Contents("torch", unwrapped(_zip_object(file)))
    if start[8:] == b"{":
        return _safetensors_contents(file, size)
    return Contents("torch", unwrapped(_legacy_object(file, size)))


def _safetensors_contents(file: IO[bytes], size: int) -> Contents:
    """Eight bytes of length, a JSON header, the values."""
    length = int.from_bytes(file.read(8), "little")
    if length > size - 8:
        raise CheckpointError("is truncated, or not a checkpoint; get it again")
    try:
        header = json.loads(file.read(min(length, _MAX_INDEX_BYTES)))
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


def architecture_of(content: bytes, source: str) -> Architecture:
    """The network that one of our own safetensors files, whole in memory, says it is of.

    Raises:
        CheckpointError: it is another kind of file, damaged, or does not fit its network.
    """
    try:
        if content[8:9] != b"{":
            raise CheckpointError("is no safetensors file")
        contents = _safetensors_contents(io.BytesIO(content), len(content))
    except CheckpointError as error:
        raise CheckpointError(f"{source} {error}") from None
    if not contents.architecture:
        raise CheckpointError(f"{source} does not say which network it is of")
    arch = _parsed(contents.architecture, source)
    check_tensors(lower(arch), contents.tensors, source)
    return arch


def _zip_object(file: IO[bytes]) -> Any:
    """What the pickle in torch's zip format describes."""
    try:
        with zipfile.ZipFile(file) as archive:
            index = _zip_index(archive)
    except CheckpointError:
        raise
    except Exception:
        # zipfile lets errors of many types through where an archive is damaged.
        raise CheckpointError("is truncated or damaged; get it again") from None
    return _scanned(PickleScan(io.BytesIO(index)))


def _zip_index(archive: zipfile.ZipFile) -> bytes:
    names = archive.namelist()
    roots = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise CheckpointError("is a zip file, but no torch checkpoint")
    if any(name.startswith(f"{roots[0]}/code/") for name in names):
        raise CheckpointError("holds code (TorchScript); save model.state_dict() instead")
    entry = archive.getinfo(f"{roots[0]}/data.pkl")
    if entry.file_size > _MAX_INDEX_BYTES:
        raise CheckpointError("is no checkpoint: its index alone is over 100 MB")
    return archive.read(entry)


def _legacy_object(file: IO[bytes], size: int) -> Any:
    """What the fourth of the five pickles in torch's older format describes."""
    scan = PickleScan(file)
    try:
        magic = scan.load()
    except CheckpointError:
        raise
    except Exception:
        magic = None
    if magic != _LEGACY_MAGIC:
        raise CheckpointError("is neither a safetensors file nor a torch checkpoint")
    for _ in ("protocol", "system"):
        _scanned(scan)
    loaded = _scanned(scan)
    _scanned(scan)
    # Each storage is written as its length in eight bytes, then its values.
    needed = file.tell() + sum(8 + storage.size for storage in scan.storages.values())
    if needed > size:
        raise CheckpointError(f"is truncated: {needed} bytes expected, {size} found")
    return loaded


def _scanned(scan: PickleScan) -> Any:
    try:
        return scan.load()
    except CheckpointError as error:
        raise CheckpointError(f"{error}, not only tensors; save model.state_dict()") from None
    except Exception as error:
        raise CheckpointError(f"is truncated or damaged ({type(error).__name__})") from None


def unwrapped(loaded: Any) -> dict[str, Any]:
    """The state dict in what a checkpoint file held.

    Training scripts wrap it ({"state_dict": …}, {"model": …}) and data-parallel training puts
    "module." before every key.

    Raises:
        CheckpointError: it is no mapping from text.
    """
    while isinstance(loaded, Mapping):
        inner = [loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)]
        if not inner:
            break
        loaded = inner[0]
    if not isinstance(loaded, Mapping) or not all(isinstance(key, str) for key in loaded):
        raise CheckpointError("holds no state dict (a mapping from names to tensors)")
    if loaded and all(key.startswith("module.") for key in loaded):
        return {key.removeprefix("module."): value for key, value in loaded.items()}
    return dict(loaded)

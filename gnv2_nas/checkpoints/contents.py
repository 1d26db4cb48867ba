"""The table of contents of a checkpoint file, read without values and without torch.

Safetensors, torch's zip format and torch's older format are recognised by content, not by name.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Annotated, Any, Literal, NoReturn

import msgspec

from gnv2_nas.checkpoints.pickle_scan import PickleScan
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.compatibility import Storage, TensorInfo

MAX_INDEX_BYTES = 32_000_000
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_BIG_ENDIAN = "was written by a big-endian machine; save it again on another one"
_MAX_RATIO = 1_100
"""Largest ratio of an entry's size to its compressed size; deflate reaches 1,032."""


class TorchFile:
    """A file in torch's zip format or its older format, with its index read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        """
        Raises:
            CheckpointError: another kind of file, a damaged one, or one that contains code.
        """
        self._file = file
        start = file.read(4)
        file.seek(0)
        self._archive: zipfile.ZipFile | None = None
        if start == b"PK\x03\x04":
            self._read_zip()
        else:
            self._read_legacy(size)

    loaded: Any
    """The unpickled structure, with tensors as `TensorInfo`."""

    def values(self, storages: Iterable[Storage]) -> dict[str, bytes]:
        """Key → the bytes of a storage."""
        return {storage.key: self._values(storage) for storage in storages}

    def _values(self, storage: Storage) -> bytes:
        if self._archive is not None:
            return self._archive.read(self._entries[storage.key])
        self._file.seek(self._places[storage.key])
        return self._file.read(storage.size)

    def _read_zip(self) -> None:
        try:
            self._archive = zipfile.ZipFile(self._file)
            root, index = _zip_index(self._archive)
            listed = {entry.filename: entry for entry in self._archive.infolist()}
        except CheckpointError:
            raise
        except Exception:
            # zipfile raises errors of many types on damaged archives.
            _refuse()
        scan = PickleScan(io.BytesIO(index))
        self.loaded = _scan(scan)
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for key, storage in scan.storages.items():
            entry = listed.get(f"{root}/data/{key}")
            if entry is None or entry.file_size < storage.size:
                _refuse()
            _check_entry(entry)
            self._entries[key] = entry

    def _read_legacy(self, size: int) -> None:
        stream = io.BytesIO(self._file.read(MAX_INDEX_BYTES))
        scan = PickleScan(stream)
        try:
            magic = scan.load()
        except CheckpointError:
            raise
        except Exception:
            magic = None
        if type(magic) is not int or magic != _LEGACY_MAGIC:
            raise CheckpointError("is neither a safetensors file nor a torch checkpoint")
        _scan(scan)
        system = _scan(scan)
        if isinstance(system, dict) and system.get("little_endian") is False:
            raise CheckpointError(_BIG_ENDIAN)
        self.loaded = _scan(scan)
        keys = _scan(scan)
        place = stream.tell()
        needed = place + sum(8 + storage.size for storage in scan.storages.values())
        if needed > size:
            raise CheckpointError(f"is truncated: {needed} bytes expected, {size} found")
        self._places: dict[str, int] = {}
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            _refuse()
        if sorted(keys) != sorted(scan.storages):
            _refuse()
        # Each storage is written as its length in eight bytes, then its values.
        for key in keys:
            self._places[key] = place + 8
            place += 8 + scan.storages[key].size


def _zip_index(archive: zipfile.ZipFile) -> tuple[str, bytes]:
    """The folder of the checkpoint in the archive, and its pickle."""
    names = archive.namelist()
    roots = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise CheckpointError("is a zip file, but no torch checkpoint")
    if any(name.startswith(f"{roots[0]}/code/") for name in names):
        raise CheckpointError("holds code (TorchScript); save model.state_dict() instead")
    order = f"{roots[0]}/byteorder"
    if order in names and archive.open(order).read(8) == b"big":
        raise CheckpointError(_BIG_ENDIAN)
    entry = archive.getinfo(f"{roots[0]}/data.pkl")
    _check_entry(entry)
    if entry.file_size > MAX_INDEX_BYTES:
        raise CheckpointError(
            f"is no checkpoint: its index alone is over {MAX_INDEX_BYTES // 10**6} MB"
        )
    return roots[0], archive.read(entry)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    """Refuse an entry that would unpack to far more bytes than the file has."""
    stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size
    deflated = entry.compress_type == zipfile.ZIP_DEFLATED
    if not (stored or (deflated and entry.file_size <= _MAX_RATIO * entry.compress_size)):
        _refuse()


def _scan(scan: PickleScan) -> Any:
    try:
        return scan.load()
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"is truncated or damaged ({type(error).__name__})") from None


def _refuse() -> NoReturn:
    raise CheckpointError("is truncated or damaged; get it again")


ARCHITECTURE_KEY = "architecture"
"""Metadata key: `Architecture` as JSON."""
PREPROCESSING_KEY = "preprocessing"
"""Metadata key: `Preprocessing` as JSON."""
STEPS_KEY = "preprocessing_steps"
"""Metadata key: the preprocessing as sentences for people, one per line."""
TRAINING_KEY = "training"
"""Metadata key: `TrainingRecord` as JSON."""
SUPERNET_KEY = "supernet"
"""Metadata key: `SupernetRecord` as JSON."""

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
    """The saved object, usually a mapping, with tensors as `TensorInfo`."""
    architecture: str = ""
    """The metadata of this key; "" if there is none. So are the following."""
    preprocessing: str = ""
    training: str = ""
    supernet: str = ""


def read_contents(path: Path) -> Contents:
    """The contents of a checkpoint file. No value is read, and no code in it is run.

    Raises:
        CheckpointError: the file is missing, no checkpoint, damaged, or contains code.
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
    """Whether a file that starts with these nine bytes may be a safetensors file."""
    return start[8:9] == b"{" and start[:4] != b"PK\x03\x04"


class _Entry(msgspec.Struct, frozen=True):
    """One tensor in a safetensors header."""

    dtype: Annotated[str, msgspec.Meta(max_length=16)]
    shape: Annotated[tuple[_Length, ...], msgspec.Meta(max_length=64)]
    data_offsets: tuple[_Length, _Length]


def safetensors_contents(file: IO[bytes], size: int) -> Contents:
    """The contents of a safetensors file: eight bytes of length, a JSON header, the values."""
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
    """End of the last value; each value must start where another one ends."""
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

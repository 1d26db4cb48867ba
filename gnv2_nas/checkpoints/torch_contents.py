"""What torch's two checkpoint formats hold, without torch: nothing of their pickles is run."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from typing import IO, Any, NoReturn

from gnv2_nas.checkpoints.pickle_scan import PickleScan
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.compatibility import Storage

MAX_INDEX_BYTES = 32_000_000
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_BIG_ENDIAN = "was written by a big-endian machine; save it again on another one"
_LARGEST_RATIO = 1_100
"""Of a deflated entry to its place in the file; the method reaches 1,032."""


class TorchFile:
    """A file in torch's zip format or in its older one, its index read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        """
        Raises:
            CheckpointError: it is none, damaged, or holds code.
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
    """What the pickle describes, tensors as `TensorInfo`."""

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
            # zipfile lets errors of many types through where an archive is damaged.
            _refuse_damaged()
        scan = PickleScan(io.BytesIO(index))
        self.loaded = _scanned(scan)
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for key, storage in scan.storages.items():
            entry = listed.get(f"{root}/data/{key}")
            if entry is None or entry.file_size < storage.size:
                _refuse_damaged()
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
        _scanned(scan)
        system = _scanned(scan)
        if isinstance(system, dict) and system.get("little_endian") is False:
            raise CheckpointError(_BIG_ENDIAN)
        self.loaded = _scanned(scan)
        keys = _scanned(scan)
        place = stream.tell()
        needed = place + sum(8 + storage.size for storage in scan.storages.values())
        if needed > size:
            raise CheckpointError(f"is truncated: {needed} bytes expected, {size} found")
        self._places: dict[str, int] = {}
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            _refuse_damaged()
        if sorted(keys) != sorted(scan.storages):
            _refuse_damaged()
        # Each storage is written as its length in eight bytes, then its values.
        for key in keys:
            self._places[key] = place + 8
            place += 8 + scan.storages[key].size


def _zip_index(archive: zipfile.ZipFile) -> tuple[str, bytes]:
    """The folder of the checkpoint, and its pickle."""
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
    """Refuse what would unpack to far more than the file has."""
    stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size
    deflated = entry.compress_type == zipfile.ZIP_DEFLATED
    if not (stored or (deflated and entry.file_size <= _LARGEST_RATIO * entry.compress_size)):
        _refuse_damaged()


def _scanned(scan: PickleScan) -> Any:
    try:
        return scan.load()
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"is truncated or damaged ({type(error).__name__})") from None


def _refuse_damaged() -> NoReturn:
    raise CheckpointError("is truncated or damaged; get it again")

"""What torch's two checkpoint formats hold, without torch: nothing of their pickles is run."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import IO, Any

from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.pickle_scan import PickleScan

MAX_INDEX_BYTES = 100_000_000
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_WRAPPERS = ("state_dict", "model")


def zip_object(file: IO[bytes]) -> Any:
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
    if entry.file_size > MAX_INDEX_BYTES:
        raise CheckpointError("is no checkpoint: its index alone is over 100 MB")
    return archive.read(entry)


def legacy_object(file: IO[bytes], size: int) -> Any:
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

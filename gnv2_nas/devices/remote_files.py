"""Files of networks on a device, named after the hash of their content."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence, Set

from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.errors import DeviceFullError
from gnv2_nas.runner.timing import RuntimeFiles

FOLDER = "files"
MAX_BYTES = 1 << 30
"""Files of earlier networks are removed when those on the device would take more than this."""


class StoredFiles(dict[str, bytes]):
    """The files of a network as a device has them: path there → content."""


class RemoteFiles:
    """The files of networks in a device's folder. Several threads may use it.

    Args:
        transport: how the device is reached.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._sizes: dict[str, int] | None = None
        self._lock = threading.Lock()
        self._in_use: Set[str] = frozenset()

    def store(self, networks: Sequence[RuntimeFiles], *, in_use: bool = False) -> list[StoredFiles]:
        """Send files that are not on the device yet.

        Args:
            networks: files of each network. Those that this has returned are not hashed again.
            in_use: whether they are loaded from now on, and again in each session. They stay until
                others are in use, while another thread stores the files of networks to come.

        Raises:
            DeviceError: the device cannot be reached, or its disk is full.
        """
        named = list(map(_name, networks))
        with self._lock:
            wanted = {path: content for files in named for path, content in files.items()}
            if in_use:
                self._in_use = frozenset(wanted)
            self._send(wanted)
        return named

    def forget(self) -> None:
        """Ask the device again which files it has."""
        self._sizes = None

    def _send(self, wanted: Mapping[str, bytes]) -> None:
        if self._sizes is None:
            found = self._transport.sizes(FOLDER)
            self._sizes = {f"{FOLDER}/{name}": size for name, size in found.items()}
        sizes = self._sizes
        missing = {path: each for path, each in wanted.items() if sizes.get(path) != len(each)}
        if not missing:
            return
        if sum(sizes.values()) + sum(map(len, missing.values())) > MAX_BYTES:
            self._remove(sizes, sizes.keys() - wanted.keys() - self._in_use)
        try:
            self._transport.push(missing)
        except DeviceFullError:
            others = sizes.keys() - wanted.keys() - self._in_use
            if not others:
                raise
            self._remove(sizes, others)
            self._transport.push(missing)
        sizes.update((path, len(content)) for path, content in missing.items())

    def _remove(self, sizes: dict[str, int], paths: Set[str]) -> None:
        self._transport.remove(sorted(paths))
        for path in paths:
            del sizes[path]


def _name(files: RuntimeFiles) -> StoredFiles:
    if isinstance(files, StoredFiles):
        return files
    return StoredFiles({_path(suffix, content): content for suffix, content in files.items()})


def _path(suffix: str, content: bytes) -> str:
    return f"{FOLDER}/{hashlib.sha256(content).hexdigest()[:24]}{suffix}"

"""The store of a device: every measurement with its raw samples, `profiles/<device>.jsonl`.

A line is a JSON object: a `Measurement`, or the `PanelSamples` of a batch, which its measurements
refer to by `batch`. Both have a field `schema`. Lines without it are of schema 1, which earlier
versions wrote: they have no panel, no hashes and no conditions, and stay readable. Lines of a later
schema are left to later versions. Any number of processes may append, see `files/journal.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from gnv2_nas.files.journal import append_lines, decode_line, read_lines
from gnv2_nas.measurement.records.record import PROFILES_FOLDER, Measurement, PanelSamples
from gnv2_nas.runner.timing import RuntimeFiles

SCHEMA = 2
_HEAD_BYTES = 1 << 20


class _Key(msgspec.Struct, frozen=True):
    """What a line is, without decoding the rest of it."""

    schema: int = 1
    architecture: str = ""
    """Empty in lines of panels."""


class _PanelLine(msgspec.Struct, frozen=True):
    panel: PanelSamples


class _Mark(msgspec.Struct, frozen=True):
    """Fields of a measurement of any schema."""

    device: str
    ratio: float


_MEASUREMENT_START = b'{"schema":%d,"architecture":"' % SCHEMA
"""How a measurement of this schema begins."""
_STARTS = (b'{"schema":', b'{"architecture":')
"""How a line begins, since schema 2 and before."""


def append_measurements(
    measurements: Iterable[Measurement], folder: Path = PROFILES_FOLDER
) -> None:
    """Append measurements to the stores of their devices, each batch in one write.

    Raises:
        StorageError: the disk refused the write; earlier lines are intact.
    """
    lines: dict[str, list[bytes]] = {}
    panels: dict[str, PanelSamples] = {}
    for each in measurements:
        alone = msgspec.structs.replace(each, panel=None)
        lines.setdefault(each.device, []).append(_encode(alone))
        if each.panel is not None and each.batch not in panels:
            panels[each.batch] = each.panel
            lines[each.device].append(_encode(_PanelLine(each.panel)))
    for device, mine in lines.items():
        append_lines(store_path(device, folder), mine)


def read_measurements(
    device: str, folder: Path = PROFILES_FOLDER, networks: Collection[str] | None = None
) -> list[Measurement]:
    """Return the measurements of a device, oldest first, without the samples of the panel.

    Lines that a crash cut short and lines of a later schema are skipped.

    Args:
        device: name of the device.
        folder: folder of the store.
        networks: ids of the architectures to return; None for all. Other lines are hardly decoded.
    """
    keys, decoder = msgspec.json.Decoder(_Key), msgspec.json.Decoder(Measurement)
    found = []
    for line in read_lines(store_path(device, folder)):
        if networks is not None or not line.startswith(_MEASUREMENT_START):
            key = decode_line(line, keys)
            if key is None or key.schema > SCHEMA or not key.architecture:
                continue
            if networks is not None and key.architecture not in networks:
                continue
        found.append(decode_line(line, decoder))
    return [each for each in found if each is not None]


def store_path(device: str, folder: Path = PROFILES_FOLDER) -> Path:
    """Return the file of a device's measurements."""
    return folder / f"{device}.jsonl"


def is_store(path: Path) -> bool:
    """Return whether a file is empty or a store, if only of one line that was cut short.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        lines = file.read(_HEAD_BYTES).split(b"\n")
    if len(lines) == 1:
        return not lines[0] or lines[0].startswith(_STARTS)
    decoder = msgspec.json.Decoder(_Mark)
    return any(decode_line(line, decoder) for line in lines)


def hash_files(files: RuntimeFiles) -> str:
    """Return 12 hexadecimal digits of the SHA-256 hash of files and their suffixes."""
    digest = hashlib.sha256()
    for suffix, content in sorted(files.items()):
        digest.update(f"{suffix} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:12]


def _encode(line: msgspec.Struct) -> bytes:
    return b'{"schema":%d,%b' % (SCHEMA, msgspec.json.encode(line)[1:])

"""How the latency of networks moved: all records of a device, and the last against the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gnv2_nas.errors import InputError
from gnv2_nas.formats.foreign.network import TimedNetwork
from gnv2_nas.measurement.records.record import PROFILES_FOLDER, Comparison, Measurement, compare
from gnv2_nas.measurement.records.store import read_measurements, store_path


class NetworkHistory(msgspec.Struct, frozen=True):
    """The records of one network on one device."""

    records: Sequence[Measurement]
    """Oldest first, without raw samples; at least one."""

    @property
    def comparable(self) -> Sequence[Measurement]:
        """The records under the conditions of the last one, itself included.

        They have the same processor, cores, runtime version, device profile and calibration.
        """
        last = _conditions(self.records[-1])
        return [each for each in self.records if _conditions(each) == last]

    def moved(self) -> Comparison | None:
        """Return the last record against the first comparable one; None if there is no other."""
        first, *others = self.comparable
        return compare(others[-1], first) if others else None


class History(msgspec.Struct, frozen=True):
    """The records of networks on one device."""

    device: str
    networks: Mapping[str, NetworkHistory]
    """By the name that tables show."""
    unmeasured: Sequence[str]
    """Names of networks without a record."""

    def to_json(self) -> dict[str, Any]:
        """Return all records without raw samples, for scripts."""
        return {
            "device": self.device,
            "networks": {
                name: {"records": each.records, "moved": each.moved()}
                for name, each in self.networks.items()
            },
            "unmeasured": self.unmeasured,
        }


def read_history(
    networks: Mapping[str, TimedNetwork], device: str, folder: Path = PROFILES_FOLDER
) -> History:
    """Return the records of networks on a device.

    Args:
        networks: by the name that tables show.
        device: name of the device.
        folder: folder of the store.

    Raises:
        InputError: none of them was measured.
    """
    found: dict[str, list[Measurement]] = {}
    ids = {arch.id for arch in networks.values()}
    for each in read_measurements(device, folder, ids):
        found.setdefault(each.architecture, []).append(each.drop_samples())
    # Several processes append in the order in which they end.
    histories = {
        name: NetworkHistory(sorted(found[arch.id], key=lambda each: each.taken_at))
        for name, arch in networks.items()
        if arch.id in found
    }
    if not histories:
        raise InputError(
            f"no measurement of {', '.join(networks)} in {str(store_path(device, folder))!r}; "
            "leave --history out to measure"
        )
    return History(device, histories, [name for name in networks if name not in histories])


def _conditions(record: Measurement) -> tuple[object, ...]:
    return (
        record.runtime,
        record.threads,
        record.precision,
        record.pace,
        record.fingerprint.identity(record.threads),
        record.profile_hash,
        record.calibration,
    )

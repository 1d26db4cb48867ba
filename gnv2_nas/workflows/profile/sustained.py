"""Profiling networks that run for minutes, as in an application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.errors import InputError
from gnv2_nas.files.journal import Journal
from gnv2_nas.formats.foreign.network import TimedNetwork
from gnv2_nas.measurement.foreign import check_loads
from gnv2_nas.measurement.records.record import PROFILES_FOLDER
from gnv2_nas.runtimes.base import RUNTIMES
from gnv2_nas.units import format_duration, parse_duration
from gnv2_nas.workflows.devices import report_shortage
from gnv2_nas.workflows.events import Events, report_messages, report_task

if TYPE_CHECKING:
    from gnv2_nas.measurement.sustained import SustainedMeasurement

MIN_SECONDS, MAX_SECONDS = 120.0, 86400.0
"""With less than two minutes, the first is also the last."""


class Sustained(msgspec.Struct, frozen=True):
    """The first minute of each network against its last."""

    networks: Mapping[str, TimedNetwork]
    measurements: Sequence[SustainedMeasurement]
    """In the order of `networks`."""

    def to_json(self) -> list[dict[str, Any]]:
        """Return one row for each network, with all its minutes, for scripts."""
        return [
            {"network": name, "id": arch.id, "sustained": measurement}
            for (name, arch), measurement in zip(
                self.networks.items(), self.measurements, strict=True
            )
        ]


def parse_sustained(text: str, profile: DeviceProfile) -> float | None:
    """Return the seconds that each network runs; None for "".

    Raises:
        InputError: they cannot be read or are out of range, or the runtime loads too slowly.
    """
    if not text:
        return None
    seconds = parse_duration(text, "--sustained")
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise InputError(f"--sustained must be from 2m to 24h, but got {text!r}")
    if not RUNTIMES[profile.runtime].quick:
        raise InputError(
            f"--sustained loads each network every 10 s, and {profile.runtime} may take as long "
            "as that to load one: use a device of another runtime"
        )
    return seconds


def run_sustained(
    networks: Mapping[str, TimedNetwork],
    device: str,
    pace: float | None,
    seconds: float,
    events: Events,
) -> Sustained:
    """Run one network after the other for some seconds each.

    Each result is appended to `profiles/<device>.sustained.jsonl`.

    Raises:
        MeasurementError: the runtime refused a network, or computes something else than torch.
        StorageError: the disk refused the write; earlier results are kept.
    """
    from gnv2_nas.measurement.calibration import open_device
    from gnv2_nas.measurement.sustained import SustainedMeasurement, measure_sustained

    opened = open_device(device, pace)
    journal = Journal(PROFILES_FOLDER / f"{opened.name}.sustained.jsonl", SustainedMeasurement)
    report_shortage(opened, events)
    check_loads(networks.values(), opened, report_messages(events))
    found: list[SustainedMeasurement] = []
    task = f"running each network for {format_duration(seconds)}"
    with report_task(events, task) as report:
        for arch in networks.values():

            def progress(share: float, done: int = len(found)) -> None:
                report((done + share) / len(networks))

            waiting = report_messages(events)
            found.append(measure_sustained(arch, opened, seconds, progress, waiting))
            # An interrupted command loses the network that runs, and no other.
            journal.append(found[-1])
    return Sustained(networks, found)

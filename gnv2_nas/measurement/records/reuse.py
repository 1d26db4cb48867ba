"""Which records of a device stand for measuring again.

A record does if it was measured under the present conditions: the same processor, cores, runtime
version and pages (`Fingerprint.identity`), the same device profile, whose hash covers runtime,
threads, precision, pace and pinned cores, the same bytes of the files, and the same calibration,
whose error all ratios share. The load does not count: it widens the record's interval. A record
during which the device changed counts only where any precision will do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gnv2_nas.devices.device import Device
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.formats.foreign.network import TimedNetwork
from gnv2_nas.measurement.records.record import MIN_ROUNDS, PROFILES_FOLDER, Measurement
from gnv2_nas.measurement.records.store import hash_files, read_measurements
from gnv2_nas.runner.lock import DeviceLock, Waiting, ignore_waiting


class DeviceIdentity(msgspec.Struct, frozen=True):
    """What latencies on a device depend on, besides the network."""

    device: str
    profile_hash: str
    threads: int
    fingerprint: Fingerprint
    calibration: str
    """`Calibration.content_hash` of the one that is in use; "" without one."""


def identify(device: Device) -> DeviceIdentity:
    """Return the identity of a device with the calibration that is in use.

    Raises:
        MeasurementError: the device cannot be reached.
    """
    profile, calibration = device.profile, device.calibration
    return DeviceIdentity(
        device.name,
        profile.content_hash,
        profile.threads,
        device.fingerprint(),
        calibration.content_hash if calibration else "",
    )


def find_reusable(
    architectures: Sequence[TimedNetwork],
    device: Device,
    precision: float = math.inf,
    *,
    folder: Path = PROFILES_FOLDER,
    waiting: Waiting = ignore_waiting,
) -> dict[str, Measurement]:
    """Return architecture id → the narrowest record that stands for measuring it again.

    The choice is by width and not by value, so that it favours neither fast nor slow records.

    Args:
        architectures: networks to look for.
        device: the device, with the calibration that is in use.
        precision: relative half-width of the 95 % interval that a record must reach, as in
            `MeasurementOptions`. Infinity takes records of any width.
        folder: folder of the store.
        waiting: receives a sentence while another process measures, because files are written.

    Raises:
        MeasurementError: the device cannot be reached, or its runtime cannot run a network.
    """
    networks = {arch.id: arch for arch in architectures}
    records = read_measurements(device.name, folder, networks.keys())
    if not records:
        return {}
    here = identify(device)
    valid = [each for each in records if is_comparable(each, here) and _is_precise(each, precision)]
    if not valid:
        return {}
    with DeviceLock.shared(waiting):
        files = {
            name: hash_files(device.write(networks[name]))
            for name in dict.fromkeys(each.architecture for each in valid)
        }
    same = [each for each in valid if each.files_hash == files[each.architecture]]
    # Of several for one network, the last one remains.
    return {each.architecture: each for each in sorted(same, key=_half_width, reverse=True)}


def is_comparable(record: Measurement, here: DeviceIdentity) -> bool:
    """Return whether a record was measured under the conditions of a device.

    Args:
        record: the record; its files are not compared.
        here: the device.
    """
    return (
        record.profile_hash == here.profile_hash
        and record.fingerprint.identity(here.threads) == here.fingerprint.identity(here.threads)
        and record.calibration == here.calibration
    )


def _is_precise(record: Measurement, precision: float) -> bool:
    """Return whether a record is as good as one that is measured to a precision now."""
    if precision == math.inf:
        return True
    changed = record.conditions is not None and record.conditions.changes
    return not changed and record.rounds >= MIN_ROUNDS and _half_width(record) <= precision


def _half_width(record: Measurement) -> float:
    """Return the relative half-width without the calibration's part."""
    low, high = record.own_ci95()
    return math.log(high / low) / 2

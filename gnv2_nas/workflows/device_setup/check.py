"""`gnv2-nas devices check` and `remove`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from gnv2_nas.devices.device import Device
from gnv2_nas.devices.profile import DeviceProfile, find_profile, read_profile
from gnv2_nas.devices.provision.probe import probe
from gnv2_nas.devices.provision.profile_file import is_own
from gnv2_nas.devices.transports import open_transport
from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import DeviceError, InputError, StorageError
from gnv2_nas.files.outputs import check_outputs
from gnv2_nas.files.writing import check_writable
from gnv2_nas.measurement.records.record import PROFILES_FOLDER
from gnv2_nas.workflows.device_setup.install import install
from gnv2_nas.workflows.device_setup.state import (
    STATE,
    DeviceState,
    check_networks,
    list_changes,
    read_state,
    state_path,
    write_state,
)
from gnv2_nas.workflows.events import Events, ignore, report_task

_CLEAN = """cd / && rm -rf "$1" || exit
rmdir "${1%/*}" 2>/dev/null || exit 0
locks=${TMPDIR:-/tmp}/gnv2-nas-$(id -u)
[ -d "$locks" ] || exit 0
command -v flock >/dev/null 2>&1 && { flock -n "$locks/machine" true || exit 0; }
rm -f "$locks/gate" "$locks/machine"; rmdir "$locks" || exit 0
"""
"""Removes the folder $1 and, if no other device profile has one there, the lock files, which
another measurement may hold."""
CLEAN_TIMEOUT = 120.0


class DeviceCheck(msgspec.Struct, frozen=True):
    """A device that was checked."""

    name: str
    profile: DeviceProfile
    state: DeviceState
    before: DeviceState | None
    """What the check before found; None if this is the first."""

    @property
    def changes(self) -> dict[str, tuple[str, str]]:
        """What changed since: name → before and after."""
        return list_changes(self.before, self.state) if self.before else {}

    def to_json(self) -> dict[str, Any]:
        """Return the facts for scripts."""
        last = self.before.checked_at if self.before else None
        return (
            {"name": self.name, "profile": self.profile}
            | self.state.to_json()
            | ({"last_check": last, "changes": self.changes})
        )


def check_device(name: str) -> DeviceProfile:
    """Check that a device can be checked, and return its profile.

    Raises:
        InputError: there is no such device, or its profile is wrong.
        OutputError: `profiles/` is not writable.
    """
    profile = read_profile(name)
    check_writable(PROFILES_FOLDER)
    check_outputs({state_path(find_profile(name).stem): STATE}, option="NAME")
    return profile


def run_check_device(name: str, events: Events = ignore) -> DeviceCheck:
    """Ask a device again what it is, check its engine, and measure its noise.

    Raises:
        DeviceError: it cannot be reached, or failed.
        MeasurementError: the engine computes something else than torch.
    """
    profile, stem = check_device(name), find_profile(name).stem
    local = profile.transport == "local"
    transport = LocalTransport(stem, Path.cwd()) if local else open_transport(stem, profile)
    try:
        with report_task(events, f"asking {transport.describe()} what it is"):
            found = probe(transport)
        if not local:
            install(profile, found, transport, events)
    finally:
        transport.close()
    before = read_state(stem)
    state = check_networks(Device(stem, profile), found, events)
    write_state(stem, state)
    return DeviceCheck(stem, profile, state, before)


def check_remove_device(name: str) -> DeviceProfile:
    """Check that a device can be removed.

    Raises:
        InputError: there is no such device, or it ships with the package.
    """
    profile = read_profile(name)
    if not is_own(find_profile(name), profile):
        raise InputError(f"{name} ships with gnv2-nas and cannot be removed")
    return profile


def run_remove_device(name: str, *, clean: bool = False) -> list[Path]:
    """Remove the profile of a device, and with `clean` all that is ours on the device.

    What was measured on it is kept.

    Returns:
        The files that were removed here.

    Raises:
        DeviceError: the device cannot be reached to clean it; nothing was removed.
    """
    profile = check_remove_device(name)
    if clean and profile.transport != "local":
        transport = open_transport(find_profile(name).stem, profile)
        try:
            _clean(transport)
        finally:
            transport.close()
    removed = []
    for path in (find_profile(name), state_path(find_profile(name).stem)):
        try:
            path.unlink()
            removed.append(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StorageError(f"cannot remove {str(path)!r}: {error.strerror or error}") from None
    return removed


def _clean(transport: Transport) -> None:
    done = transport.run(["sh", "-c", _CLEAN, "sh", transport.folder], timeout=CLEAN_TIMEOUT)
    if done.code:
        raise DeviceError(f"{transport.describe()}: {transport.folder} cannot be removed")

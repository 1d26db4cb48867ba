"""The transport that a device profile names."""

from __future__ import annotations

from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.transports.adb import AdbTransport
from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.devices.transports.ssh import SshTransport


def open_transport(name: str, profile: DeviceProfile) -> Transport:
    """Return the transport of a profile; nothing is sent yet.

    Args:
        name: name of the device, and of our folder on it.
        profile: its profile.

    Raises:
        ProfileError: the name or the address cannot be used.
    """
    if profile.transport == "ssh":
        return SshTransport(name, profile.host)
    if profile.transport == "adb":
        return AdbTransport(name, profile.serial)
    return LocalTransport(name)

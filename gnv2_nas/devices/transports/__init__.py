"""How a device is reached: this machine, ssh or adb, behind one protocol."""

from __future__ import annotations

from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.transports.base import Transport


def open_transport(name: str, profile: DeviceProfile) -> Transport:
    """Return the transport of a profile; nothing is sent yet.

    Args:
        name: name of the device, and of our folder on it.
        profile: its profile.
    """
    raise NotImplementedError

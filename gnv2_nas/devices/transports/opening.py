"""The transport that a device profile names."""

from __future__ import annotations

from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.errors import ProfileError


def open_transport(name: str, profile: DeviceProfile) -> Transport:
    """Return the transport of a profile; nothing is sent yet.

    Args:
        name: name of the device, and of our folder on it.
        profile: its profile.

    Raises:
        ProfileError: the name or the address cannot be used.
    """
    if profile.transport != "local":
        raise ProfileError(f"transport {profile.transport!r} cannot be opened yet; known: local")
    return LocalTransport(name)

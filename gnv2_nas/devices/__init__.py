"""Devices: profiles, the lock on the processors, and the fingerprint of the machine."""

from gnv2_nas.devices.device import Device
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.devices.profile import DeviceProfile, list_devices, read_profile

__all__ = ["Device", "DeviceProfile", "Fingerprint", "list_devices", "read_profile"]

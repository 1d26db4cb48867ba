"""Devices: profiles, the lock on the processors, and the fingerprint of the machine."""

from gnv2_nas.devices.device import Device, DeviceProfile, list_devices, read_profile
from gnv2_nas.devices.fingerprint import Fingerprint

__all__ = ["Device", "DeviceProfile", "Fingerprint", "list_devices", "read_profile"]

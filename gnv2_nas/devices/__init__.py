"""Devices: what `--device NAME` means, who may use the processors, and which machine this is."""

from gnv2_nas.devices.device import Device, DeviceProfile, list_devices, read_profile
from gnv2_nas.devices.fingerprint import Fingerprint

__all__ = ["Device", "DeviceProfile", "Fingerprint", "list_devices", "read_profile"]

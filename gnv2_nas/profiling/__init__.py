"""Latency: devices, runtimes, the protocol, and what a measurement leaves behind."""

from gnv2_nas.profiling.device import Device, DeviceProfile, list_devices, read_profile
from gnv2_nas.profiling.record import Fingerprint, Measurement

__all__ = [
    "Device",
    "DeviceProfile",
    "Fingerprint",
    "Measurement",
    "list_devices",
    "measure",
    "open_device",
    "read_profile",
]


def __getattr__(name: str) -> object:
    # numpy, which measuring needs, is loaded when something is measured. The module must not be
    # called `measure`: once imported, it would stand here in place of the function.
    if name == "measure":
        from gnv2_nas.profiling.protocol import measure

        return measure
    if name == "open_device":
        from gnv2_nas.profiling.calibration import open_device

        return open_device
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

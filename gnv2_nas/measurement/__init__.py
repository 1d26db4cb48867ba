"""Latency: the protocol, its statistics, and what a measurement leaves behind."""

from gnv2_nas.measurement.record import Measurement

__all__ = ["Measurement", "measure", "open_device"]


def __getattr__(name: str) -> object:
    # numpy, which measuring needs, is loaded when something is measured. The module must not be
    # called `measure`: once imported, it would stand here in place of the function.
    if name == "measure":
        from gnv2_nas.measurement.protocol import measure

        return measure
    if name == "open_device":
        from gnv2_nas.measurement.calibration import open_device

        return open_device
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Latency measurement: protocol, statistics, calibration and records."""

from gnv2_nas.measurement.records.record import Measurement

__all__ = ["Measurement", "measure", "open_device"]


def __getattr__(name: str) -> object:
    # NumPy is imported only when something is measured. No module may be named `measure`: once
    # imported, it would replace the function.
    if name == "measure":
        from gnv2_nas.measurement.protocol import measure

        return measure
    if name == "open_device":
        from gnv2_nas.measurement.calibration import open_device

        return open_device
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

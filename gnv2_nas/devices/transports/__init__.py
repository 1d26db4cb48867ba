"""How a device is reached: this machine, ssh or adb, behind one protocol."""

from gnv2_nas.devices.transports.base import Completed, RunningCommand, Transport
from gnv2_nas.devices.transports.opening import open_transport

__all__ = ["Completed", "RunningCommand", "Transport", "open_transport"]

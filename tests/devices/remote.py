"""A device that is another process here: a folder, a Python in it, and our runner."""

from __future__ import annotations

import sys
from pathlib import Path

from gnv2_nas.devices import Device, DeviceProfile
from gnv2_nas.devices.remote_host import RemoteHost
from gnv2_nas.devices.runner_program import environment_folder, python_runner
from gnv2_nas.devices.transports import Transport

PROFILE = DeviceProfile("a process of its own", runtime="onnxruntime")


def set_up(folder: Path, profile: DeviceProfile = PROFILE) -> None:
    """Give the device a Python that has the runtime."""
    python = folder / environment_folder(profile.runtime) / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)


def remote_device(transport: Transport, profile: DeviceProfile = PROFILE) -> Device:
    device = Device("board", profile)
    device.host = RemoteHost("board", device.runtime.label, python_runner(profile), transport)
    return device

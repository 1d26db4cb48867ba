"""Putting on a device what its profile says."""

from __future__ import annotations

from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.provision.environment import ensure_environment
from gnv2_nas.devices.provision.probe import Probe
from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.workflows.events import Events, report_messages, report_task


def install(profile: DeviceProfile, found: Probe, transport: Transport, events: Events) -> None:
    """Make the engine of a profile available on its device, unless it is there.

    Raises:
        InputError: the device cannot have this engine.
        DeviceError: installing failed.
    """
    if profile.runner == "python":
        with report_task(events, f"installing {profile.runtime}"):
            ensure_environment(profile.runtime, found, transport, report_messages(events))

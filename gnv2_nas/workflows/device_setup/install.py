"""Putting on a device what its profile says."""

from __future__ import annotations

from gnv2_nas.devices.native.build import build
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.provision.engines import WHEELS
from gnv2_nas.devices.provision.environment import ensure_environment
from gnv2_nas.devices.provision.probe import Probe
from gnv2_nas.devices.runner_program import native_target
from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.workflows.events import Events, report_messages, report_task


def install(profile: DeviceProfile, found: Probe, transport: Transport, events: Events) -> None:
    """Make the engine of a profile available on its device, unless it is there.

    The native runner is built here, if it is not; it is sent when it is first used.

    Raises:
        InputError: the device cannot have this engine.
        DeviceError: installing failed.
        RunError: building failed.
    """
    if profile.benchmark is not None or (
        profile.runner == "python" and profile.runtime not in WHEELS
    ):
        return  # the program, or the environment, is the user's
    tell = report_messages(events)
    if profile.runner == "native":
        build(native_target(transport), tell)
    else:
        with report_task(events, f"installing {profile.runtime}"):
            ensure_environment(profile.runtime, found, transport, tell)

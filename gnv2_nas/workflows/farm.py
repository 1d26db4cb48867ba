"""Serving devices of this machine to the searches of a Ray cluster, and what is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gnv2_nas.devices.profile import DeviceProfile, find_profile, list_devices
from gnv2_nas.errors import DeviceError, InputError, UnknownNameError
from gnv2_nas.search.engine.cluster import AUTO, check_address, connected_aside
from gnv2_nas.search.farm import directory
from gnv2_nas.search.farm.directory import ServedDevice
from gnv2_nas.search.study.settings import device_label
from gnv2_nas.workflows.devices import check_device, describe_shortage, read_profiles
from gnv2_nas.workflows.events import Events, Message, ignore, report_messages


def check_farm(devices: Sequence[str]) -> dict[str, DeviceProfile]:
    """Return label → profile of each device of a farm.

    Args:
        devices: names or files of profiles.

    Raises:
        InputError: there is no device, one cannot be measured, or Ray is not installed.
    """
    check_address(AUTO)
    if not devices:
        raise InputError("name the devices to serve, such as --device pi5 --device phone")
    profiles = read_profiles(devices)
    for name in profiles:
        check_device(name)
    return {device_label(name): profile for name, profile in profiles.items()}


def run_farm(devices: Mapping[str, DeviceProfile], events: Events = ignore) -> None:
    """Serve devices until an interrupt, see `serve`."""
    from gnv2_nas.search.farm.serving import serve

    for name, profile in devices.items():
        if message := describe_shortage(name, profile):
            events(Message(message))
    with connected_aside(AUTO):
        serve(devices, report_messages(events))


def list_served(address: str = AUTO) -> list[ServedDevice | DeviceError]:
    """Return the devices that the farms of a cluster serve; an error for one that is ending."""
    check_address(address)
    with connected_aside(address):
        return [_describe(name) for name in directory.list_served()]


def _describe(name: str) -> ServedDevice | DeviceError:
    try:
        return directory.describe(name)
    except DeviceError as error:
        return error


def find_served(devices: Sequence[str], address: str) -> dict[str, ServedDevice]:
    """Return those of the devices that a farm of the cluster serves.

    Args:
        devices: names of devices, or files of profiles, which no farm serves.
        address: of the cluster; "" for none.

    Raises:
        UnknownNameError: neither a farm nor this machine has a device of a name.
        InputError: no cluster answers.
    """
    if not address:
        return {}
    with connected_aside(address):
        served = directory.list_served()
        for name in set(devices) - set(served):
            try:
                find_profile(name)
            except UnknownNameError:
                raise UnknownNameError("device", name, {*list_devices(), *served}) from None
        return {name: directory.describe(name) for name in devices if name in served}

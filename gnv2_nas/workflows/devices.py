"""Opening a device for a workflow: its files in `profiles/`, its cores, its calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType

from gnv2_nas.cores import check_cores
from gnv2_nas.devices.device import Device
from gnv2_nas.devices.profile import DeviceProfile, calibration_name, find_profile, read_profile
from gnv2_nas.errors import InputError, ProfileError
from gnv2_nas.files.outputs import Kind, check_outputs, holds_fields
from gnv2_nas.files.writing import check_writable
from gnv2_nas.measurement.records.record import PROFILES_FOLDER
from gnv2_nas.measurement.records.store import is_store, store_path
from gnv2_nas.search.farm.directory import ServedDevice
from gnv2_nas.search.study.settings import device_label
from gnv2_nas.workflows.events import Events, Message, report_messages, report_task

_MEASURED = Kind("the measurements", is_store)
_CALIBRATION = Kind(
    "the calibration", lambda path: holds_fields(path, "key", "reference_ms", "log_ratios")
)
_MODEL = Kind("the latency model", lambda path: holds_fields(path, "fitted_on", "ridge"))
MAX_DEVICES = 8
"""Devices of one search, which measures every network on each, or of one farm."""


def check_device(
    device: str, base: Path | None = None, *, fits: bool = False, pace: float | None = None
) -> None:
    """Check that a device can be measured, as far as is known without it.

    Args:
        device: name or path of a profile.
        base: a latency model that the workflow reads.
        fits: whether the workflow writes a latency model.
        pace: calls a second in place of the profile's.

    Raises:
        ProfileError: the profile breaks a rule.
        InputError: it lists cores that this machine does not have.
        OutputError: `profiles/` is not writable, or another kind of file is in the way.
    """
    folder, profile = PROFILES_FOLDER, find_profile(device)
    settings = read_profile(device)
    if settings.transport == "local" and settings.cores:
        try:
            check_cores(settings.cores)
        except InputError as error:
            raise ProfileError(f"{profile}: {error}") from None
    check_writable(folder)
    kinds = {
        store_path(profile.stem): _MEASURED,
        folder / calibration_name(profile.stem, pace or settings.pace): _CALIBRATION,
    }
    if fits:
        from gnv2_nas.latency_model.file import latency_path

        kinds[latency_path(profile.stem)] = _MODEL
    check_outputs(kinds, [profile, base], "--device")


def read_profiles(
    names: Sequence[str], served: Mapping[str, ServedDevice] = MappingProxyType({})
) -> dict[str, DeviceProfile]:
    """Return name → profile of each device, in the order of their labels.

    Args:
        names: names or files of profiles.
        served: those that a farm has.

    Raises:
        InputError: there is no device, there are too many, or one is given twice.
        ProfileError: a profile breaks a rule.
    """
    if not 1 <= len(names) <= MAX_DEVICES:
        raise InputError(f"--device: give 1 to {MAX_DEVICES} devices, but got {len(names)}")
    profiles = {
        name: served[name].profile if name in served else read_profile(name)
        for name in sorted(names, key=device_label)
    }
    by_label: dict[str, str] = {}
    by_content: dict[tuple[str, ...], str] = {}
    for name in sorted(names, key=device_label):
        label, profile = device_label(name).casefold(), profiles[name]
        host = served[name].host if name in served else ""
        content = (profile.content_hash, profile.reached_by, host)
        other = by_label.setdefault(label, "") or by_content.setdefault(content, "")
        if other:
            raise InputError(
                f"--device: {other!r} and {name!r} are the same device; give each device once"
            )
        by_label[label] = by_content[content] = name
    return profiles


def describe_shortage(name: str, profile: DeviceProfile) -> str:
    """Return a warning if the device needs more cores than this process may use, else ""."""
    short = profile.shortage()
    if not short:
        return ""
    return (
        f"device {name}: {short}; its threads wait for each other, which makes latencies longer: "
        "lower threads in its profile, or allow more cores"
    )


def report_shortage(device: Device, events: Events) -> None:
    """Report the `describe_shortage` of a device, if there is one."""
    if message := describe_shortage(device.name, device.profile):
        events(Message(message))


def calibrate(device: Device, events: Events) -> None:
    """Calibrate a device, unless a calibration of this machine is kept in its file.

    Args:
        device: what to calibrate.
        events: told about missing cores, waiting and progress.
    """
    from gnv2_nas.measurement.calibration import ensure_calibrated

    report_shortage(device, events)
    if device.profile.precision == "int8" and not device.profile.calibration_images:
        events(
            Message(
                f"device {device.name}: at 8 bits, the ranges of feature maps come from noise, "
                "which is enough to time networks"
            )
        )
    if device.calibration is None:
        with report_calibration(events, device.name) as report:
            ensure_calibrated(device, report, waiting=report_messages(events))


def report_calibration(
    events: Events, device: str
) -> AbstractContextManager[Callable[[float], None]]:
    """Return the `report_task` of the calibration of a device."""
    return report_task(events, f"calibrating device {device}, once")

"""The form of an exported file: that of a device, as its profile says."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gnv2_nas.arch import list_presets
from gnv2_nas.devices.profile import DeviceProfile, read_profile
from gnv2_nas.errors import InputError
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.runtimes.base import RuntimeName
from gnv2_nas.search.study.settings import Settings, device_label
from gnv2_nas.workflows.references import NetworkReference

DEFAULT_FORMAT = "onnx"


class ExportForm(msgspec.Struct, frozen=True):
    """The form of an exported file."""

    form: FileForm = FileForm()
    device: str = ""
    """Name of the device that it is for; "" for none."""
    note: str = ""
    """What the user should know about it, as a clause."""

    def describe(self) -> str:
        """Return "channels in multiples of 8, for device pi5"."""
        return f"{self.form}, for device {self.device}" if self.device else f"{self.form}"


def choose_format(given: str, device: str, runtimes: Mapping[str, RuntimeName]) -> str:
    """Return the format to export: the given one, or that of the device's runtime.

    Args:
        given: the format that was asked for; "" for none.
        device: name or path of a profile; "" for none.
        runtimes: format → the runtime that reads it.

    Raises:
        InputError: the device's runtime reads no format, or another one.
    """
    if not device:
        return given or DEFAULT_FORMAT
    runtime = read_profile(device).runtime
    readable = [each for each, name in runtimes.items() if name == runtime]
    if not readable:
        raise InputError(
            f"--device {device}: files of runtime {runtime!r} are not exported; leave --device out"
        )
    if given and given not in readable:
        raise InputError(
            f"--device {device} runs {runtime!r}, which reads {readable[0]!r} files, but got "
            f"--format {given}; leave one of them out"
        )
    return readable[0]


def find_form(
    device: str, network: NetworkReference, storage: str, runtime: RuntimeName
) -> ExportForm:
    """Return the form of a file for a runtime.

    Args:
        device: name or path of a profile that runs `runtime`; "" takes the first device of the
            study that `network` is a trial of which runs it, if latencies were measured.
        network: what is exported.
        storage: URL of the database that holds the studies.
        runtime: reads the file.

    Raises:
        ProfileError: the profile of `device` breaks a rule.
    """
    if device:
        return ExportForm(read_profile(device).form, device_label(device))
    settings = _read_settings(network, storage)
    if settings is None or not settings.measures:
        return ExportForm()
    missing = []
    for measured_on in settings.devices:
        profile, name = _find_profile(measured_on.name), measured_on.label
        if profile is None:
            missing.append(name)
        elif profile.runtime == runtime:
            same = profile.content_hash == measured_on.content_hash
            note = "" if same else f"the profile of device {name} was changed since the study began"
            return ExportForm(profile.form, name, note)
    if not missing:
        return ExportForm()
    return ExportForm(
        note=f"there is no profile of device {missing[0]}, which the study measured on"
    )


def _read_settings(network: NetworkReference, storage: str) -> Settings | None:
    """Return the settings of the study that a network is a trial of."""
    if not isinstance(network, str) or network in list_presets():
        return None
    study, colon, _ = network.rpartition(":")
    if not colon or network.endswith((".json", ".safetensors")):
        return None
    from gnv2_nas.search.storage.studies import open_study

    return open_study(storage, study).settings


def _find_profile(name: str) -> DeviceProfile | None:
    try:
        return read_profile(name)
    except InputError:
        return None

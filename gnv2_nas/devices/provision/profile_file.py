"""Writing the profile of a device that was set up, with its fields explained."""

from __future__ import annotations

import json
import re
from pathlib import Path

from gnv2_nas.cores import format_cores
from gnv2_nas.devices.profile import PROFILE_KIND, DeviceProfile, is_built_in, list_devices
from gnv2_nas.devices.provision.probe import Probe
from gnv2_nas.devices.provision.processor import find_clusters
from gnv2_nas.errors import InputError
from gnv2_nas.files.writing import SUFFIXES, write_atomically

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def check_new_name(name: str) -> None:
    """Check that a profile can be given this name.

    Raises:
        InputError: it is no file name, or taken.
    """
    if not _NAME.fullmatch(name) or Path(name).suffix.lower() in SUFFIXES:
        raise InputError(
            f"{name!r} cannot be the name of a device: use up to 64 letters, digits, '.', '_' and "
            "'-', a letter or digit first, without .yaml"
        )
    if taken := next((each for each in list_devices() if each.lower() == name.lower()), ""):
        raise InputError(
            f"there is a device {taken!r} already: choose another name, or remove it first with "
            f"gnv2-nas devices remove {taken}"
        )


def profile_path(name: str) -> Path:
    """Return the file of a profile in the working directory."""
    return Path(PROFILE_KIND) / f"{name}.yaml"


def is_own(path: Path, profile: DeviceProfile) -> bool:
    """Whether a profile is the user's, not one that ships with the package.

    In a checkout, the package's profiles are in the folder that the user's are written to.
    """
    return not is_built_in(path) or profile.transport != "local"


def write_profile(name: str, profile: DeviceProfile, probe: Probe) -> Path:
    """Write a profile with comments that explain its fields.

    Raises:
        StorageError: the disk refused the file.
    """
    path = profile_path(name)
    write_atomically(path, format_profile(name, profile, probe))
    return path


def format_profile(name: str, profile: DeviceProfile, probe: Probe) -> str:
    """Return the text of a profile file."""
    where = f"host: {_text(profile.host)}" if profile.host else f"serial: {_text(profile.serial)}"
    lines = [
        f"# What `--device {name}` means. Written by `gnv2-nas devices add`; edit it as you like,",
        f"# then run `gnv2-nas devices check {name}`.",
        f"description: {_text(profile.description)}",
        "",
        "# How the device is reached. The address may change; results stay valid.",
        f"transport: {profile.transport}",
        where,
        f"runner: {profile.runner}",
        "",
        "# What is measured: engine, threads, precision. Results of different values never mix.",
        f"runtime: {profile.runtime}",
        f"threads: {profile.threads}",
        f"precision: {profile.precision}",
        "",
        *_explain_cores(profile, probe),
        "",
        "# To measure as in an application that gets so many frames a second: a processor that",
        "# sleeps between calls is slower.",
        "# pace: 30",
    ]
    return "\n".join(lines) + "\n"


def _explain_cores(profile: DeviceProfile, probe: Probe) -> list[str]:
    clusters = find_clusters(probe.cores)
    table = [f"#   {format_cores(each.numbers)}: {each.describe()}" for each in clusters]
    if len(clusters) > 1:
        text = [
            "# Cores that the network runs on. The cores of this processor differ in speed, and a",
            "# network that moves between them has no one latency. Without pinning, the threads of",
            "# an application may run on slower cores than these: choose those that it uses.",
            *table,
        ]
    else:
        text = ["# Cores that the network runs on (default: any; here they are all equal)."]
    if profile.cores:
        return [*text, f"cores: [{', '.join(map(str, profile.cores))}]"]
    return [*text, f"# cores: [{probe.cores[-1].number}]"]


def _text(text: str) -> str:
    """Return text in quotes, which YAML reads as JSON does."""
    return json.dumps(text, ensure_ascii=False)

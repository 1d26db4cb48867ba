"""Device profiles (`profiles/NAME.yaml`), which `--device NAME` selects."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from gnv2_nas.cores import shortage
from gnv2_nas.devices.programs.kinds import KINDS, KindName
from gnv2_nas.documents import Document, read_document
from gnv2_nas.errors import InputError, ProfileError
from gnv2_nas.files.writing import built_in_folder, find_named, list_named
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.runtimes.base import Precision, Processor, RuntimeName

Transport = Literal["local", "ssh", "adb"]
Runner = Literal["python", "native"]
MAX_THREADS = 256
PROFILE_KIND = "profiles"
MIN_PACE, MAX_PACE = 1.0, 1000.0
"""Calls a second. With fewer, a measurement would take minutes for each network."""
ADDRESS = ("host", "serial")
"""Fields of a profile that do not affect a latency."""


class BenchmarkProgram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program on the device that loads and times networks instead of our runner."""

    program: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f]+$")]
    """Its path on the device, or its name if the device's shell finds it."""
    kind: KindName
    """Which program it is, as that decides how it is called and what it prints."""
    arguments: tuple[Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f]+$")], ...] = ()
    """Further arguments, such as --use_gpu=true."""


class DeviceProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a device profile file."""

    description: str
    transport: Transport = "local"
    """How the device is reached; "local" is the machine that searches."""
    host: str = ""
    """For ssh: [user@]name[:port], as OpenSSH and its configuration know it."""
    serial: str = ""
    """For adb: the serial number that `adb devices` shows."""
    runner: Runner = "python"
    """Program that loads and times networks on a device that is not local."""
    benchmark: BenchmarkProgram | None = None
    """A benchmark program that loads and times networks instead (default: none)."""
    runtime: RuntimeName = "onnxruntime"
    threads: Annotated[int, msgspec.Meta(ge=1, le=MAX_THREADS)] = 1
    precision: Precision = "fp32"
    processor: Processor = "cpu"
    cores: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()
    """Cores that the network may run on (default: any). The cores of a phone differ in speed, and a
    network that moves between them has no one latency."""
    pace: Annotated[float, msgspec.Meta(ge=MIN_PACE, le=MAX_PACE)] | None = None
    """Calls a second, as in an application that gets so many frames (default: no pauses). A
    processor that sleeps between calls is slower."""
    calibration_images: str = ""
    """For precision int8: an .npy file of float32 images (N, 3, H, W), preprocessed as for
    inference. They give the ranges of feature maps (default: noise, enough for timing)."""
    form: FileForm = FileForm()
    """Form of the files of networks (default: the runtime's built-in one). `devices tune` finds the
    fastest."""

    @property
    def reached_by(self) -> str:
        """Transport and address, such as "ssh pi@raspberrypi"."""
        return f"{self.transport} {self.host or self.serial}".strip()

    @property
    def content_hash(self) -> str:
        """Hash of the fields that affect a latency, 12 hexadecimal digits.

        Defaults are left out: their fields may not have existed when a study began. So is the
        device's address, which may change.
        """
        default = msgspec.structs.asdict(DeviceProfile(self.description))
        differing = set(msgspec.structs.asdict(self).items()) - set(default.items())
        decided = [
            (name, msgspec.to_builtins(value)) for name, value in differing if name not in ADDRESS
        ]
        return hashlib.sha256(json.dumps(sorted(decided)).encode()).hexdigest()[:12]

    def shortage(self) -> str:
        """Return "8 threads on 2 cores, …" if there are too few cores, as far as is known here."""
        if self.processor != "cpu":
            return ""
        return shortage(self.threads, self.cores, here=self.transport == "local")


def check_pace(pace: float, what: str = "pace") -> None:
    """Check calls a second.

    Raises:
        InputError: they are out of range.
    """
    if not MIN_PACE <= pace <= MAX_PACE:
        raise InputError(
            f"{what} must be from {MIN_PACE:g}fps to {MAX_PACE:g}fps, but got {pace:g}fps"
        )


def calibration_name(device: str, pace: float | None) -> str:
    """Return the file name of a device's calibration; there is one for each pace."""
    return f"{device}{'' if pace is None else f'.{pace:g}fps'}.calibration.json"


def list_devices() -> list[str]:
    """List the names of all devices; files in the working directory take precedence."""
    return list(list_named(PROFILE_KIND))


def find_profile(name: str) -> Path:
    """Return the file of a device profile by name or path.

    Raises:
        UnknownNameError: there is no such device.
    """
    return find_named(PROFILE_KIND, "device", name)


def is_built_in(path: Path) -> bool:
    """Return whether a profile lies in the package's folder of profiles."""
    return path.resolve().parent == built_in_folder(PROFILE_KIND).resolve()


def read_profile(name: str) -> DeviceProfile:
    """Read a device profile by name or path.

    Raises:
        UnknownNameError: there is no such device.
        ProfileError: the file breaks a rule; the message names file, line and key.
    """
    document = read_document(
        find_profile(name), DeviceProfile, error=ProfileError, what="device profile"
    )
    if document.data.transport == "ssh" and not document.data.host:
        raise document.error(("transport",), "ssh needs the key 'host', such as pi@raspberrypi")
    if document.data.benchmark is not None:
        _check_benchmark(document, document.data.benchmark)
    return document.data


def _check_benchmark(document: Document[DeviceProfile], benchmark: BenchmarkProgram) -> None:
    """Raise `ProfileError` if a benchmark program cannot do what the profile says."""
    profile, kind = document.data, KINDS[benchmark.kind]
    if profile.runtime != kind.runtime:
        raise document.error(
            ("benchmark", "kind"),
            f"{benchmark.kind} runs the files of {kind.runtime}, but the profile's runtime is "
            f"{profile.runtime}; set runtime: {kind.runtime}",
        )
    if profile.precision not in kind.precisions:
        raise document.error(
            ("precision",),
            f"{benchmark.kind} runs at {' or '.join(kind.precisions)} here, but got "
            f"{profile.precision}",
        )
    if profile.pace is not None:
        raise document.error(
            ("pace",), f"{benchmark.kind} calls without pauses; leave the pace out"
        )

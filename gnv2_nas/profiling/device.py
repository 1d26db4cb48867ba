"""Devices: what `--device NAME` means, read from `profiles/NAME.yaml`."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.documents import read_document
from gnv2_nas.errors import ProfileError
from gnv2_nas.files import find_named, list_named
from gnv2_nas.profiling.record import Fingerprint
from gnv2_nas.profiling.runtime import (
    Precision,
    Processor,
    Runtime,
    RuntimeName,
    Session,
    get_runtime,
)

KIND = "profiles"


class DeviceProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a device profile file."""

    description: str
    transport: Literal["local"] = "local"
    """Where the network runs; "local" is the machine that searches."""
    runtime: RuntimeName = "onnxruntime"
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    precision: Precision = "fp32"
    processor: Processor = "cpu"

    @property
    def content_hash(self) -> str:
        """12 hexadecimal digits of all that decides a latency.

        The description does not count, nor does a default: its field may not even have existed
        when a study was begun.
        """
        default = msgspec.structs.asdict(DeviceProfile(self.description))
        decided = set(msgspec.structs.asdict(self).items()) - set(default.items())
        return hashlib.sha256(json.dumps(sorted(decided)).encode()).hexdigest()[:12]


class Device:
    """A profile put to work: it readies networks and says what machine it is."""

    def __init__(self, name: str, profile: DeviceProfile) -> None:
        self.name = name
        self.profile = profile
        self.runtime: Runtime = get_runtime(profile.runtime, profile.precision, profile.processor)
        self._references: list[Session] = []

    def load(self, arch: Architecture) -> Session:
        """The network in the device's runtime, ready to run."""
        return self.runtime.load(self.runtime.write(arch), self.profile.threads)

    def reference_sessions(self, arch: Architecture, count: int) -> list[Session]:
        """`count` sessions of the network that others are held against.

        Loaded once: batches that share them are tied together more closely than fresh sessions
        could, and a search spends a fifth less time on loading.
        """
        while len(self._references) < count:
            self._references.append(self.load(arch))
        return self._references[:count]

    def fingerprint(self) -> Fingerprint:
        from gnv2_nas.profiling.fingerprint import fingerprint

        return fingerprint(self.runtime.version())


def list_devices() -> list[str]:
    """Names of the devices in reach; files in the working directory win."""
    return list(list_named(KIND))


def read_profile(name: str) -> DeviceProfile:
    """The profile of that name, or of that path.

    Raises:
        UnknownNameError: no such device.
        ProfileError: the file breaks a rule; the message names file, line and key.
    """
    path = find_named(KIND, "device", name)
    return read_document(path, DeviceProfile, error=ProfileError, what="device profile").data


def open_device(name: str) -> Device:
    """The device of that name; loads its runtime."""
    profile = read_profile(name)
    return Device(find_named(KIND, "device", name).stem, profile)

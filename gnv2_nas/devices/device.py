"""Devices: what `--device NAME` means, read from `profiles/NAME.yaml`."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.cores import shortage
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.devices.panel import REFERENCE, reference_networks
from gnv2_nas.documents import read_document
from gnv2_nas.errors import ProfileError
from gnv2_nas.files.writing import find_named, list_named
from gnv2_nas.runtimes.base import (
    RUNTIMES,
    Precision,
    Processor,
    Runtime,
    RuntimeFiles,
    RuntimeName,
    Session,
    get_runtime,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ClockName = Literal["cpu", "device", "wall"]
"""CPU time on one thread, an accelerator's own time on one, else wall time."""


class Calibration(msgspec.Struct, frozen=True):
    """What is known of a device from measuring the panel alone, at length."""

    key: str
    """Names the machine, runtime and profile it holds for."""
    reference_ms: float
    """Time of stock GhostNetV2 1.0: what milliseconds are expressed in."""
    reference_error: float
    """Standard error of its log."""
    log_ratios: dict[str, float]
    """Network of the panel → log of its time over the reference's."""
    covariance: list[list[float]]
    """Of the errors of `log_ratios`, in their order."""
    session_spreads: dict[str, float]
    """Network of the panel → standard deviation between its sessions, in logs."""
    size_spread: float
    """By how much more the machine slows one size of network down than another, in logs."""
    sessions: int
    rounds: int
    taken_at: str
    """ISO 8601, UTC."""


PROFILE_KIND = "profiles"


class DeviceProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a device profile file."""

    description: str
    transport: Literal["local"] = "local"
    """Where the network runs; "local" is the machine that searches."""
    runtime: RuntimeName = "onnxruntime"
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    precision: Precision = "fp32"
    processor: Processor = "cpu"
    calibration_images: str = ""
    """For precision int8: an .npy file of float32 images (N, 3, H, W), prepared as for inference,
    that show how far feature maps reach. Without it noise does, which is enough for timing."""

    @property
    def content_hash(self) -> str:
        """12 hexadecimal digits of all that decides a latency.

        The description does not count, nor does a default: its field may not even have existed
        when a study was begun.
        """
        default = msgspec.structs.asdict(DeviceProfile(self.description))
        decided = set(msgspec.structs.asdict(self).items()) - set(default.items())
        return hashlib.sha256(json.dumps(sorted(decided)).encode()).hexdigest()[:12]

    def shortage(self) -> str:
        """ "8 threads on 2 cores, …" where this process cannot have the cores; "" where it can."""
        return shortage(self.threads) if self.processor == "cpu" else ""


class PreparedNetwork(msgspec.Struct):
    """A network whose file was written, loaded and found to compute the right thing."""

    files: RuntimeFiles
    session: Session | None
    """The one that was checked, until someone takes it over."""
    parity: float
    """See `parity.difference`."""


class Device:
    """A profile put to work: it readies networks and says what machine it is."""

    def __init__(self, name: str, profile: DeviceProfile) -> None:
        self.name = name
        self.profile = profile
        self.runtime: Runtime = get_runtime(
            profile.runtime, profile.precision, profile.processor, profile.calibration_images
        )
        self.calibration: Calibration | None = None
        networks = reference_networks()
        quick = RUNTIMES[profile.runtime].quick
        self.panel = networks if quick else {REFERENCE: networks[REFERENCE]}
        """Reference networks by name."""
        # Of all networks so far, a few kB each: a search measures the best of them several times,
        # and to ask torch takes longer than to write the file.
        self._expected: dict[str, NDArray[np.float32]] = {}
        self._panel_files: dict[str, RuntimeFiles] = {}

    @property
    def clock(self) -> ClockName:
        """What a latency is taken from."""
        if self.profile.processor != "cpu":
            return "device"
        return "cpu" if self.profile.threads == 1 else "wall"

    def prepare(self, arch: Architecture) -> PreparedNetwork:
        """Write and load a network, and check its logits against the torch module's.

        Raises:
            MeasurementError: the runtime refuses the network or computes something else.
        """
        from gnv2_nas.runtimes.parity import check_parity, expected_logits

        files = self.runtime.write(arch)
        session = self.open(files)
        if arch.id not in self._expected:
            self._expected[arch.id] = expected_logits(arch)
        parity = check_parity(arch, session, self.runtime, expected=self._expected[arch.id])
        return PreparedNetwork(files, session, parity)

    def open(self, files: RuntimeFiles) -> Session:
        """A fresh session."""
        return self.runtime.load(files, self.profile.threads)

    def open_reference(self, name: str) -> Session:
        """A fresh session of a network of the panel, which is checked the first time.

        Raises:
            MeasurementError: see `prepare`.
        """
        if name not in self._panel_files:
            ready = self.prepare(self.panel[name])
            self._panel_files[name] = ready.files
            return ready.session or self.open(ready.files)
        return self.open(self._panel_files[name])

    def fingerprint(self) -> Fingerprint:
        from gnv2_nas.devices.fingerprint import fingerprint

        return fingerprint(self.runtime.version())


def list_devices() -> list[str]:
    """Names of the devices in reach; files in the working directory win."""
    return list(list_named(PROFILE_KIND))


def read_profile(name: str) -> DeviceProfile:
    """The profile of that name, or of that path.

    Raises:
        UnknownNameError: no such device.
        ProfileError: the file breaks a rule; the message names file, line and key.
    """
    path = find_named(PROFILE_KIND, "device", name)
    return read_document(path, DeviceProfile, error=ProfileError, what="device profile").data

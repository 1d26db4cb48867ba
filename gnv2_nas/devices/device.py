"""Device profiles (`profiles/NAME.yaml`), which `--device NAME` selects, and open devices."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.cores import shortage
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.devices.host import Host, LocalHost
from gnv2_nas.devices.panel import REFERENCE, reference_networks
from gnv2_nas.documents import read_document
from gnv2_nas.errors import ProfileError
from gnv2_nas.files.writing import find_named, list_named
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.base import RUNTIMES, Precision, Processor, Runtime, RuntimeName, get_runtime

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Transport = Literal["local", "ssh", "adb"]
Runner = Literal["python", "native"]
ClockName = Literal["cpu", "device", "wall"]
"""CPU time with one thread, an accelerator's own time, or wall time."""


class Calibration(msgspec.Struct, frozen=True):
    """Result of measuring the panel alone and at length."""

    key: str
    """Hash of the machine, runtime and profile that it is valid for."""
    reference_ms: float
    """Milliseconds of stock GhostNetV2 1.0, which other milliseconds refer to."""
    reference_error: float
    """Standard error of the log of `reference_ms`."""
    log_ratios: dict[str, float]
    """Network of the panel → log of its time over the reference's."""
    covariance: list[list[float]]
    """Covariance of the errors of `log_ratios`, in their order."""
    session_spreads: dict[str, float]
    """Network of the panel → standard deviation between its sessions, in logs."""
    size_spread: float
    """Standard deviation, in logs, of the slowdown of one size relative to another."""
    sessions: int
    rounds: int
    taken_at: str
    """ISO 8601, UTC."""


PROFILE_KIND = "profiles"
ADDRESS = ("host", "serial")
"""Fields of a profile that do not affect a latency."""


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
    runtime: RuntimeName = "onnxruntime"
    threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    precision: Precision = "fp32"
    processor: Processor = "cpu"
    cores: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] = ()
    """Cores that the network may run on (default: any). The cores of a phone differ in speed, and a
    network that moves between them has no one latency."""
    pace: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Calls a second, as in an application that gets so many frames; 0 for no pauses. A processor
    that sleeps between calls is slower."""
    calibration_images: str = ""
    """For precision int8: an .npy file of float32 images (N, 3, H, W), preprocessed as for
    inference. They give the ranges of feature maps (default: noise, enough for timing)."""

    @property
    def content_hash(self) -> str:
        """Hash of the fields that affect a latency, 12 hexadecimal digits.

        Defaults are left out: their fields may not have existed when a study began. So is the
        device's address, which may change.
        """
        default = msgspec.structs.asdict(DeviceProfile(self.description))
        decided = set(msgspec.structs.asdict(self).items()) - set(default.items())
        decided = {(name, value) for name, value in decided if name not in ADDRESS}
        return hashlib.sha256(json.dumps(sorted(decided)).encode()).hexdigest()[:12]

    def shortage(self) -> str:
        """Return "8 threads on 2 cores, …" if the process has too few cores; "" otherwise."""
        return shortage(self.threads) if self.processor == "cpu" else ""


class Device:
    """A profile with its runtime: it prepares networks and identifies the machine."""

    def __init__(self, name: str, profile: DeviceProfile) -> None:
        self.name = name
        self.profile = profile
        self.runtime: Runtime = get_runtime(
            profile.runtime, profile.precision, profile.processor, profile.calibration_images
        )
        self.host: Host = LocalHost(self.runtime, profile.threads)
        self.calibration: Calibration | None = None
        networks = reference_networks()
        quick = RUNTIMES[profile.runtime].quick
        self.panel = networks if quick else {REFERENCE: networks[REFERENCE]}
        """Reference networks by name; the reference alone if the runtime is not quick."""
        # Kept for all networks, a few kB each: a search measures the best ones several times, and
        # torch takes longer to compute the logits than it takes to write the file.
        self._expected: dict[str, NDArray[np.float32]] = {}
        self._panel_files: dict[str, RuntimeFiles] = {}

    @property
    def clock(self) -> ClockName:
        """Clock that latencies come from."""
        if self.profile.processor != "cpu":
            return "device"
        return "cpu" if self.profile.threads == 1 else "wall"

    def write_reference(self, name: str) -> RuntimeFiles:
        """Return the files of a network of the panel; they are written once."""
        if name not in self._panel_files:
            self._panel_files[name] = self.runtime.write(self.panel[name])
        return self._panel_files[name]

    def check(self, arch: Architecture, logits: NDArray[np.float32]) -> float:
        """Return how far the logits of a network's file are from the torch module's.

        Raises:
            MeasurementError: they differ by more than rounding.
        """
        from gnv2_nas.runtimes.parity import check_logits, expected_logits

        if arch.id not in self._expected:
            self._expected[arch.id] = expected_logits(arch)
        return check_logits(arch, logits, self._expected[arch.id], self.runtime)

    def fingerprint(self) -> Fingerprint:
        return self.host.fingerprint()


def list_devices() -> list[str]:
    """List the names of all devices; files in the working directory take precedence."""
    return list(list_named(PROFILE_KIND))


def read_profile(name: str) -> DeviceProfile:
    """Read a device profile by name or path.

    Raises:
        UnknownNameError: there is no such device.
        ProfileError: the file breaks a rule; the message names file, line and key.
    """
    path = find_named(PROFILE_KIND, "device", name)
    return read_document(path, DeviceProfile, error=ProfileError, what="device profile").data

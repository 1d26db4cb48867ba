"""An open device: a profile with its runtime and its machine."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import msgspec

from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.devices.host import Host, LocalHost
from gnv2_nas.devices.panel import REFERENCE, reference_networks
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.programs.host import ProgramHost
from gnv2_nas.devices.programs.kinds import KINDS
from gnv2_nas.devices.remote_host import open_remote_host
from gnv2_nas.devices.transports import open_transport
from gnv2_nas.formats.foreign.network import ForeignNetwork, TimedNetwork
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.base import RUNTIMES, Runtime, get_runtime
from gnv2_nas.runtimes.foreign import foreign_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ClockName = Literal["cpu", "device", "program", "wall"]
"""CPU time with one thread, an accelerator's own time, what a benchmark program prints, or wall
time."""


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
    changed: str = ""
    """How the device changed meanwhile; such a calibration is not stored."""

    @property
    def content_hash(self) -> str:
        """12 hexadecimal digits; two calibrations under one `key` differ."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:12]


class Device:
    """A profile with its runtime: it prepares networks and identifies the machine."""

    def __init__(self, name: str, profile: DeviceProfile) -> None:
        self.name = name
        self.profile = profile
        self.runtime: Runtime = get_runtime(
            profile.runtime,
            profile.precision,
            profile.processor,
            profile.calibration_images,
            profile.form,
            here=_runs_here(profile),
        )
        self.host = _open_host(name, profile, self.runtime)
        self.calibration: Calibration | None = None
        networks = reference_networks()
        self.panel = networks if self.is_quick else {REFERENCE: networks[REFERENCE]}
        """Reference networks by name; the reference alone if the runtime is not quick."""
        # Kept for all networks, a few kB each: a search measures the best ones several times, and
        # torch takes longer to compute the logits than it takes to write the file.
        self._expected: dict[str, NDArray[np.float32]] = {}
        self._panel_files: dict[str, RuntimeFiles] = {}

    @property
    def is_quick(self) -> bool:
        """Whether a network is loaded within a second; if not, the panel is the reference alone."""
        if program := self.profile.benchmark:
            return KINDS[program.kind].build is None
        return RUNTIMES[self.profile.runtime].quick

    @property
    def runs(self) -> str:
        """What runs the networks: the benchmark program, or else the runtime."""
        return self.profile.benchmark.kind if self.profile.benchmark else self.runtime.name

    @property
    def clock(self) -> ClockName:
        """Clock that latencies come from."""
        if self.profile.benchmark:
            return "program"
        if self.profile.processor != "cpu":
            return "device"
        return "cpu" if self.profile.threads == 1 else "wall"

    @property
    def runs_here(self) -> bool:
        """Whether this process runs the networks."""
        return _runs_here(self.profile)

    def write_reference(self, name: str) -> RuntimeFiles:
        """Return the files of a network of the panel; they are written once."""
        if name not in self._panel_files:
            self._panel_files[name] = self.runtime.write(self.panel[name])
        return self._panel_files[name]

    def write(self, network: TimedNetwork) -> RuntimeFiles:
        """Return the files that the device loads.

        Raises:
            MeasurementError: the runtime cannot run the network.
            InputError: it does not read the file of another tool.
        """
        if isinstance(network, ForeignNetwork):
            return foreign_files(network, self.runtime)
        return self.runtime.write(network)

    def check(self, network: TimedNetwork, logits: NDArray[np.float32] | None) -> float | None:
        """Return how far the logits of a network's file are from the torch module's.

        Returns:
            None if the device does not tell the logits, or another tool wrote the file.

        Raises:
            MeasurementError: they differ by more than rounding.
        """
        expected = self.expected_logits(network)
        if logits is None or expected is None:
            return None
        from gnv2_nas.runtimes.parity import check_logits

        return check_logits(network.id, logits, expected, self.runtime)

    def expected_logits(self, network: TimedNetwork) -> NDArray[np.float32] | None:
        """Return the torch module's logits, see `parity.expected_logits`; None without a module."""
        if isinstance(network, ForeignNetwork):
            return None
        from gnv2_nas.runtimes.parity import expected_logits

        if network.id not in self._expected:
            self._expected[network.id] = expected_logits(network)
        return self._expected[network.id]

    def fingerprint(self) -> Fingerprint:
        return self.host.fingerprint()


def _open_host(name: str, profile: DeviceProfile, runtime: Runtime) -> Host:
    if _runs_here(profile):
        return LocalHost(runtime, profile.threads, profile.cores, profile.pace)
    if profile.benchmark is not None:
        return ProgramHost(name, profile, profile.benchmark, open_transport(name, profile))
    return open_remote_host(name, profile, runtime.label)


def _runs_here(profile: DeviceProfile) -> bool:
    """Return whether this process runs the networks."""
    return profile.transport == "local" and profile.benchmark is None

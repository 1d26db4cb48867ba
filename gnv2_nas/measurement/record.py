"""`Measurement`, the record of one latency, and the journal `profiles/<device>.jsonl`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import msgspec

from gnv2_nas.devices.device import ClockName
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.files.journal import Journal
from gnv2_nas.stats.intervals import Z95

PROFILES_FOLDER = Path("profiles")
"""Folder of the measurements, calibrations and latency models of devices."""
MIN_ROUNDS = 10
"""An interval from fewer rounds is not used for a decision, however narrow it is."""


class ErrorParts(msgspec.Struct, frozen=True):
    """Standard errors of the log of a ratio, by source."""

    own: float = 0.0
    """From the network's own rounds."""
    own_sessions: float = 0.0
    """From its own sessions."""
    panel: float = 0.0
    """From the panel's rounds and sessions, and from the difference in size between its networks
    and this one. All networks of a batch share it."""
    calibration: float = 0.0
    """From the panel's known ratios, and from effects of the machine on one network that its
    references do not show. Neither more rounds nor measuring again soon reduces it."""


class Measurement(msgspec.Struct, frozen=True):
    """One latency, relative to stock GhostNetV2 1.0 in the same rounds."""

    architecture: str
    """`Architecture.id` of the network."""
    device: str
    runtime: str
    threads: int
    precision: str
    ms: float
    """Milliseconds a call at batch size 1: `ratio` times the reference's time on the same clock."""
    ci95: tuple[float, float]
    """95 % interval of `ms`. It is wider than that of the ratio by the error of the reference's
    time, and further downwards if the machine was faster than when it was calibrated."""
    ratio: float
    """Latency relative to stock GhostNetV2 1.0, from the panel in the same rounds."""
    ratio_ci95: tuple[float, float]
    """95 % interval of `ratio`, from all parts of `errors`."""
    stable: bool
    """Whether the interval, without the calibration's part, reached the requested precision."""
    reason: str
    """Why it is not stable; "" if it is."""
    clock: ClockName
    """Clock that the estimate comes from."""
    raw_ms: float
    """Median wall time of the raw samples, for comparison."""
    rounds: int
    taken_at: str
    """ISO 8601, UTC."""
    fingerprint: Fingerprint
    sessions: int = 1
    """Number of times the network was loaded afresh; the rounds are divided among them."""
    parity: float | None = None
    """Largest difference between the file's logits and the torch module's, relative to the largest
    logit."""
    percentiles_ms: dict[str, float] = {}
    """"p90", "p95", "p99" of the wall time of single calls, if the sample is large enough."""
    errors: ErrorParts = ErrorParts()
    """Sources of the width of `ratio_ci95`."""
    batch: str = ""
    """Identifies networks measured in the same rounds: the panel's error cancels between them."""
    wall_ms: tuple[float, ...] = ()
    """Raw samples of wall time, one a round."""
    cpu_ms: tuple[float, ...] = ()
    """Raw samples of the busy clock, one a round."""

    def own_ci95(self) -> tuple[float, float]:
        """Return `ci95` without the errors that all measurements of the device share.

        This interval tells networks apart, and measuring again narrows it.
        """
        errors = self.errors
        if errors == ErrorParts():
            return self.ci95
        half = Z95 * math.hypot(errors.own, errors.own_sessions, errors.panel)
        return self.ms * math.exp(-half), self.ms * math.exp(half)

    def drop_samples(self) -> Measurement:
        """Return the summary that a study stores; the journal keeps the raw samples."""
        return msgspec.structs.replace(self, wall_ms=(), cpu_ms=())


def append_measurements(
    measurements: Iterable[Measurement], folder: Path = PROFILES_FOLDER
) -> None:
    """Append measurements to the journals of their devices, each in one write.

    Raises:
        StorageError: the disk refused the write; earlier lines are intact.
    """
    for measurement in measurements:
        _journal(measurement.device, folder).append(measurement)


def read_measurements(device: str, folder: Path = PROFILES_FOLDER) -> list[Measurement]:
    """Return all measurements of a device; lines that a crash cut short are skipped."""
    return _journal(device, folder).read()


def _journal(device: str, folder: Path) -> Journal[Measurement]:
    return Journal(folder / f"{device}.jsonl", Measurement)

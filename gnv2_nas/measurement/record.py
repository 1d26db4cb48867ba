"""What a measurement leaves behind."""

from __future__ import annotations

import math

import msgspec

from gnv2_nas.devices.device import ClockName
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.stats.intervals import Z95

MIN_ROUNDS = 10
"""Of fewer no interval can be trusted, however narrow: they decide nothing."""


class ErrorParts(msgspec.Struct, frozen=True):
    """Standard errors of the log of one ratio, part by part."""

    own: float = 0.0
    """From the network's own rounds."""
    own_sessions: float = 0.0
    """From its own sessions."""
    panel: float = 0.0
    """From rounds and sessions of the panel, and from how far its networks are from this one's
    size: shared by all networks of a batch."""
    calibration: float = 0.0
    """From the panel's known ratios, and from what a machine does to one network and not to its
    references. Neither more rounds nor measuring again soon makes it less."""


class Measurement(msgspec.Struct, frozen=True):
    """One latency: an estimate relative to stock GhostNetV2 1.0 taken in the same rounds."""

    architecture: str
    """`Architecture.id` of what was timed."""
    device: str
    runtime: str
    threads: int
    precision: str
    ms: float
    """Milliseconds a call, batch 1: `ratio` times the reference's time on the same clock."""
    ci95: tuple[float, float]
    """95 % interval of `ms`: wider than that of the ratio by the error of the reference's own time,
    and downwards by as much as the machine was faster than when it was calibrated."""
    ratio: float
    """To stock GhostNetV2 1.0, by the panel in the same rounds; less is faster."""
    ratio_ci95: tuple[float, float]
    """95 % interval of `ratio`, all parts of `errors` together."""
    stable: bool
    """Whether all that more rounds can narrow is as narrow as was asked for."""
    reason: str
    """Why not, in words; "" when stable."""
    clock: ClockName
    """The clock the estimate was made from."""
    raw_ms: float
    """Median wall time of the raw samples, for comparison."""
    rounds: int
    taken_at: str
    """ISO 8601, UTC."""
    fingerprint: Fingerprint
    sessions: int = 1
    """How often the network was loaded afresh; the rounds are shared among those."""
    parity: float | None = None
    """How far the file's logits are from the torch module's, relative to the largest."""
    percentiles_ms: dict[str, float] = {}
    """"p90", "p95", "p99" of the wall time of single calls, where the sample is large enough."""
    errors: ErrorParts = ErrorParts()
    """Where the width of the interval comes from."""
    batch: str = ""
    """Names the networks that shared rounds: they can be compared without the panel's error."""
    wall_ms: tuple[float, ...] = ()
    """Raw samples, one a round: wall time."""
    cpu_ms: tuple[float, ...] = ()
    """Raw samples, one a round: thread CPU time."""

    def own_ci95(self) -> tuple[float, float]:
        """`ci95` without what all measurements of the device share: what tells networks apart, and
        what measuring again can narrow."""
        errors = self.errors
        if errors == ErrorParts():
            return self.ci95
        half = Z95 * math.hypot(errors.own, errors.own_sessions, errors.panel)
        return self.ms * math.exp(-half), self.ms * math.exp(half)

    def drop_samples(self) -> Measurement:
        """The summary that a study keeps; the samples stay in the device's own file."""
        return msgspec.structs.replace(self, wall_ms=(), cpu_ms=())

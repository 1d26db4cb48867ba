"""What a measurement leaves behind."""

from __future__ import annotations

from typing import Literal

import msgspec

REFERENCE = "ghostnetv2-1.0"
"""The preset that every ratio refers to."""


class Fingerprint(msgspec.Struct, frozen=True):
    """The machine and software a latency was taken on."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    runtime: str
    """Runtime and version, for instance "onnxruntime 1.23.0"."""
    governor: str = "unknown"
    load: float = 0.0
    """Load average over one minute when the measurement began."""


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
    """`ratio_ci95` in milliseconds: the reference's own time is taken as exact."""
    ratio: float
    """To stock GhostNetV2 1.0 in the same rounds; less is faster."""
    ratio_ci95: tuple[float, float]
    """95 % interval of `ratio`, bootstrapped over rounds of one session."""
    stable: bool
    """Whether the interval is as narrow as was asked for."""
    reason: str
    """Why not, in words; "" when stable."""
    clock: Literal["cpu", "wall"]
    """The clock the estimate was made from: thread CPU time on one thread, else wall time."""
    raw_ms: float
    """Median wall time of the raw samples, for comparison."""
    rounds: int
    taken_at: str
    """ISO 8601, UTC."""
    fingerprint: Fingerprint
    wall_ms: tuple[float, ...] = ()
    """Raw samples, one a round: wall time."""
    cpu_ms: tuple[float, ...] = ()
    """Raw samples, one a round: thread CPU time."""

    def without_samples(self) -> Measurement:
        """The summary that a study keeps; the samples stay in the device's own file."""
        return msgspec.structs.replace(self, wall_ms=(), cpu_ms=())

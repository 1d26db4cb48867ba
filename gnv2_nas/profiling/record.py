"""What a measurement leaves behind."""

from __future__ import annotations

from typing import Literal

import msgspec

REFERENCE = "ghostnetv2-1.0"
"""The preset that every ratio refers to."""


Clock = Literal["cpu", "device", "wall"]
"""CPU time on one thread, an accelerator's own time on one, else wall time."""

NORMAL_95 = 1.96
"""Standard errors to either side of an estimate that a 95 % interval takes."""

PANEL = (REFERENCE, "ghostnet-1.0", "mobilenetv3-large-1.0")
"""Presets that run in every round. Any one of them drifts by several per cent against all other
networks for minutes at a time; three do so less."""


class Errors(msgspec.Struct, frozen=True):
    """Standard errors of the log of one ratio, part by part."""

    own: float = 0.0
    """From the network's own rounds."""
    own_sessions: float = 0.0
    """From its own sessions."""
    panel: float = 0.0
    """From rounds and sessions of the panel: shared by all networks of a batch."""


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
    huge_pages: bool = False
    """Whether the weights lay in pages of 2 MiB, see `huge_pages`."""


class Calibration(msgspec.Struct, frozen=True):
    """What is known of a device from measuring the panel alone, at length."""

    key: str
    """Names the machine, runtime and profile it holds for."""
    reference_ms: float
    """Time of stock GhostNetV2 1.0: what milliseconds are expressed in."""
    log_ratios: dict[str, float]
    """Preset of the panel → log of its time over the reference's."""
    session_spread: float
    """Standard deviation between sessions of one network, in logs."""
    sessions: int
    rounds: int
    taken_at: str
    """ISO 8601, UTC."""


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
    """To stock GhostNetV2 1.0, by the panel in the same rounds; less is faster."""
    ratio_ci95: tuple[float, float]
    """95 % interval of `ratio`: rounds, fresh sessions and the panel's own error."""
    stable: bool
    """Whether the interval is as narrow as was asked for."""
    reason: str
    """Why not, in words; "" when stable."""
    clock: Clock
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
    errors: Errors = Errors()
    """Where the width of the interval comes from."""
    batch: str = ""
    """Names the networks that shared rounds: they can be compared without the panel's error."""
    wall_ms: tuple[float, ...] = ()
    """Raw samples, one a round: wall time."""
    cpu_ms: tuple[float, ...] = ()
    """Raw samples, one a round: thread CPU time."""

    def without_samples(self) -> Measurement:
        """The summary that a study keeps; the samples stay in the device's own file."""
        return msgspec.structs.replace(self, wall_ms=(), cpu_ms=())

"""A measurement, and how two are compared or pooled."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from gnv2_nas.devices.device import ClockName
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.measurement.conditions import MeasuredConditions
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


class PanelSamples(msgspec.Struct, frozen=True):
    """Raw samples of the reference networks of a batch: milliseconds by name, one a round."""

    batch: str
    session: tuple[int, ...]
    """Session of each round, from 0."""
    wall_ms: dict[str, tuple[float, ...]]
    cpu_ms: dict[str, tuple[float, ...]]
    """On the busy clock."""


class Measurement(msgspec.Struct, frozen=True):
    """One latency, relative to stock GhostNetV2 1.0 in the same rounds."""

    architecture: str
    """`id` of the network: of its architecture, or of the file of another tool."""
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
    """Whether the interval, without the calibration's part, reached the requested precision, and
    the device stayed as it was."""
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
    pace: float | None = None
    """Calls a second; None for no pauses between them."""
    conditions: MeasuredConditions | None = None
    """State of the device before and after; None in records of earlier versions."""
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
    panel: PanelSamples | None = None
    """Raw samples of the reference networks in the same rounds."""
    profile_hash: str = ""
    """`DeviceProfile.content_hash`; "" in records of earlier versions, as are the next three."""
    files_hash: str = ""
    """Of the bytes of the files that were timed, see `hash_files`."""
    calibration: str = ""
    """`Calibration.content_hash` of what the ratio rests on; "" without a calibration."""
    software: str = ""
    """Version of this package."""
    reused: bool = False
    """Whether a search took it, or a part of it, from a record instead of measuring."""

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
        """Return the summary that a study stores; `store` keeps the raw samples."""
        return msgspec.structs.replace(self, wall_ms=(), cpu_ms=(), panel=None)

    def rescale(self, reference_ms: float) -> Measurement:
        """Return the same ratio in milliseconds of a reference network that takes so many."""
        ms = self.ratio * reference_ms
        if math.isclose(ms, self.ms, rel_tol=1e-9):
            return self
        low, high = (end * ms / self.ms for end in self.ci95)
        return msgspec.structs.replace(self, ms=ms, ci95=(low, high))


Verdict = Literal["FASTER", "SLOWER", "SAME", "CANNOT TELL"]
BudgetVerdict = Literal["met", "broken", "cannot tell"]


class Comparison(msgspec.Struct, frozen=True):
    """One network against another on the same device."""

    ratio: float
    """First over second; below 1 the first is faster."""
    ci95: tuple[float, float]
    margin: float
    """95 % half-width, in logs, of the difference between two sessions of one network on this
    device. Networks closer than that cannot be told apart."""
    verdict: Verdict
    """Verdict on the first network. FASTER and SLOWER: the difference exceeds the margin beyond the
    noise of the rounds. SAME: it is within the margin, and the noise is smaller than the margin."""


def compare(first: Measurement, second: Measurement) -> Comparison:
    """Compare two measurements of one device.

    The comparison is sharpest within a batch. With fewer than `MIN_ROUNDS` rounds the verdict is
    "CANNOT TELL".

    Raises:
        ValueError: the measurements come from different devices or runtimes.
    """
    for field in ("device", "runtime", "threads", "precision", "pace"):
        one, other = getattr(first, field), getattr(second, field)
        if one != other:
            raise ValueError(f"measurements of one {field} compare, but got {one!r} and {other!r}")
    mine, theirs = first.errors, second.errors
    rounds = [mine.own, theirs.own]
    if first.batch != second.batch:
        # The calibration's error cancels as far as the two networks share it.
        rounds += [mine.panel, theirs.panel, mine.calibration - theirs.calibration]
    noise = Z95 * math.hypot(*rounds)
    margin = Z95 * math.hypot(mine.own_sessions, theirs.own_sessions)
    ratio = first.ratio / second.ratio
    half = math.hypot(noise, margin)
    few = min(first.rounds, second.rounds) < MIN_ROUNDS
    return Comparison(
        ratio=ratio,
        ci95=(ratio * math.exp(-half), ratio * math.exp(half)),
        margin=margin,
        verdict="CANNOT TELL" if few else decide(math.log(ratio), noise, margin),
    )


def decide(apart: float, noise: float, margin: float) -> Verdict:
    """Return the verdict on the first of two networks.

    Args:
        apart: log of its time over the other's.
        noise: 95 % half-width of `apart` from the noise of the rounds.
        margin: see `Comparison`.
    """
    if abs(apart) - noise > margin:
        return "FASTER" if apart < 0 else "SLOWER"
    if abs(apart) <= margin and noise <= margin:
        return "SAME"
    return "CANNOT TELL"


def check_budget(measurement: Measurement, limit_ms: float) -> BudgetVerdict:
    """Check a latency against a limit; "met" and "broken" need the whole interval on one side."""
    if measurement.rounds < MIN_ROUNDS:
        return "cannot tell"
    low, high = measurement.ci95
    if high <= limit_ms:
        return "met"
    return "broken" if low > limit_ms else "cannot tell"


def pool(first: Measurement, second: Measurement) -> Measurement:
    """Pool two measurements of one network: the weighted mean of their log ratios.

    Each weight is the inverse of the variance that measuring again reduces. The errors of rounds,
    sessions and panels are independent and shrink. The errors of the calibration and of the
    reference's milliseconds are the same in both and do not. All other fields come from `second`,
    but the pooled batch is shared with no other measurement.

    Raises:
        ValueError: the measurements are of different networks.
    """
    if first.architecture != second.architecture:
        raise ValueError(
            f"measurements of one network pool, but got {first.architecture} and "
            f"{second.architecture}"
        )
    both = (first, second)
    weights = [1 / max(_variance(each), 1e-12) for each in both]
    shares = [weight / sum(weights) for weight in weights]

    def independent(part: Callable[[Measurement], float]) -> float:
        return math.hypot(*(share * part(each) for share, each in zip(shares, both, strict=True)))

    def shared(part: Callable[[Measurement], float]) -> float:
        return sum(share * part(each) for share, each in zip(shares, both, strict=True))

    errors = ErrorParts(
        own=independent(lambda each: each.errors.own),
        own_sessions=independent(lambda each: each.errors.own_sessions),
        panel=independent(lambda each: each.errors.panel),
        calibration=shared(lambda each: each.errors.calibration),
    )
    half = math.hypot(Z95 / math.sqrt(sum(weights)), Z95 * errors.calibration)
    ratio = math.exp(shared(lambda each: math.log(each.ratio)))
    ms = ratio * second.ms / second.ratio
    down = math.hypot(half, shared(lambda each: _beyond_ratio(each, 0)))
    up = math.hypot(half, shared(lambda each: _beyond_ratio(each, 1)))
    return msgspec.structs.replace(
        second,
        ratio=ratio,
        ratio_ci95=(ratio * math.exp(-half), ratio * math.exp(half)),
        ms=ms,
        ci95=(ms * math.exp(-down), ms * math.exp(up)),
        rounds=first.rounds + second.rounds,
        sessions=first.sessions + second.sessions,
        stable=first.stable or second.stable,
        reason="" if first.stable or second.stable else second.reason,
        errors=errors,
        batch=f"{first.batch}+{second.batch}",
        reused=first.reused or second.reused,
    )


def _variance(measurement: Measurement) -> float:
    """Return the variance of the log ratio, from its interval, without the calibration's part."""
    low, high = measurement.ratio_ci95
    whole = (math.log(high / low) / (2 * Z95)) ** 2
    return max(whole - measurement.errors.calibration**2, 0.0)


def _beyond_ratio(measurement: Measurement, side: int) -> float:
    """Return the part of the milliseconds' interval, in logs, that the ratio's does not explain."""
    whole = math.log(measurement.ci95[side] / measurement.ms)
    ratio = math.log(measurement.ratio_ci95[side] / measurement.ratio)
    return math.sqrt(max(whole**2 - ratio**2, 0.0))


def format_latency(latency: Measurement | None) -> tuple[str, str, str]:
    """Return milliseconds, 95 % interval, and ratio to stock GhostNetV2 1.0."""
    if latency is None:
        return "–", "–", "–"
    low, high = latency.ci95
    mark = "" if latency.stable else " ?"
    return f"{latency.ms:.2f}{mark}", f"{low:.2f}–{high:.2f}", f"{latency.ratio:.3f}"

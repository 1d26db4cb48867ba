"""`measure`: several networks in shared rounds with the reference, on one device."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.errors import MeasurementError
from gnv2_nas.profiling.device import Device, open_device
from gnv2_nas.profiling.plan import Plan, Samples, collect
from gnv2_nas.profiling.record import REFERENCE, Measurement
from gnv2_nas.profiling.statistics import Estimates, estimate, preempted_share

REFERENCE_SESSIONS = 2
"""Two sessions of the reference: where its weights lie in memory moves one by about 1 %."""
NETWORKS_AT_ONCE = 12
SECONDS_PER_NETWORK = 2.0

Progress = Callable[[float], None]
"""Called with the share of the work done so far, 0 to 1; the last call says 1."""


def measure(
    architectures: Sequence[Architecture],
    device: str | Device = "cpu",
    *,
    precision: float = 0.01,
    seconds_per_network: float = SECONDS_PER_NETWORK,
    seed: int = 0,
    reference_ms: float | None = None,
    progress: Progress = lambda _: None,
) -> list[Measurement]:
    """Latency of each network, batch 1, in the order given.

    Networks share rounds with two sessions of stock GhostNetV2 1.0, which every ratio refers
    to. The method and its error are in docs/profiling.md.

    Args:
        architectures: what to time; the same one twice is timed as two networks.
        device: a device name, a profile's path, or an open device.
        precision: half-width of the 95 % interval that ends the measurement, relative.
        seconds_per_network: when to give up on that precision; the result is then not `stable`.
        seed: of the order within rounds.
        reference_ms: milliseconds of the reference to express `ms` in; without it, its time in
            the same rounds.
        progress: called after every round.

    Raises:
        UnknownNameError: no such device.
        MeasurementError: the runtime refused a network.
    """
    opened = open_device(device) if isinstance(device, str) else device
    total = len(architectures)
    results: list[Measurement] = []
    for start in range(0, total, NETWORKS_AT_ONCE):
        group = architectures[start : start + NETWORKS_AT_ONCE]
        plan = Plan(max_seconds=seconds_per_network * (len(group) + REFERENCE_SESSIONS))

        def group_progress(share: float, start: int = start, size: int = len(group)) -> None:
            progress((start + share * size) / total)

        rng = random.Random(seed + start)
        timed = _TimedGroup(group, opened, plan, rng, group_progress, precision)
        results += timed.measurements(reference_ms)
    progress(1.0)
    return results


class _TimedGroup:
    """Networks that shared rounds with the reference."""

    def __init__(
        self,
        group: Sequence[Architecture],
        device: Device,
        plan: Plan,
        rng: random.Random,
        progress: Progress,
        precision: float,
    ) -> None:
        self.group, self.device, self.precision = group, device, precision
        self.plan = plan
        self.clock: Literal["cpu", "wall"] = "cpu" if device.profile.threads == 1 else "wall"
        self.fingerprint = device.fingerprint()
        self.taken_at = datetime.now(UTC).isoformat(timespec="seconds")
        references = device.reference_sessions(preset(REFERENCE), REFERENCE_SESSIONS)
        sessions = [*references, *(device.load(arch) for arch in group)]
        runs = [session.run for session in sessions]
        self.samples = collect(runs, plan, rng, self._enough, progress)
        self.estimates = self._estimates(self.samples)

    def _enough(self, samples: Samples) -> bool:
        half_width = self._estimates(samples).half_width[REFERENCE_SESSIONS:]
        return bool((half_width <= self.precision).all())

    def _estimates(self, samples: Samples) -> Estimates:
        seconds = samples.cpu if self.clock == "cpu" else samples.wall
        if not (seconds > 0).all():
            raise MeasurementError(
                f"the {self.clock} clock of this machine is too coarse: a call took 0 seconds"
            )
        return estimate(seconds, range(REFERENCE_SESSIONS))

    def measurements(self, reference_ms: float | None) -> list[Measurement]:
        """One for each network of the group, in its order."""
        if reference_ms is None:
            reference_ms = self.estimates.reference_seconds * 1e3
        return [
            self._measurement(arch, row, reference_ms)
            for row, arch in enumerate(self.group, start=REFERENCE_SESSIONS)
        ]

    def _measurement(self, arch: Architecture, row: int, reference_ms: float) -> Measurement:
        estimates, profile = self.estimates, self.device.profile
        ratio, low, high = (float(x[row]) for x in (estimates.ratio, estimates.low, estimates.high))
        wall_ms, cpu_ms = self.samples.wall[row] * 1e3, self.samples.cpu[row] * 1e3
        reason = self._unstable(row)
        return Measurement(
            architecture=arch.id,
            device=self.device.name,
            runtime=self.device.runtime.name,
            threads=profile.threads,
            precision=profile.precision,
            ms=ratio * reference_ms,
            ci95=(low * reference_ms, high * reference_ms),
            ratio=ratio,
            ratio_ci95=(low, high),
            stable=not reason,
            reason=reason,
            clock=self.clock,
            raw_ms=float(np.median(wall_ms)),
            rounds=self.samples.rounds,
            taken_at=self.taken_at,
            fingerprint=self.fingerprint,
            wall_ms=tuple(wall_ms.round(5).tolist()),
            cpu_ms=tuple(cpu_ms.round(5).tolist()),
        )

    def _unstable(self, row: int) -> str:
        """Why the interval is too wide, in words; "" when it is not."""
        half_width = float(self.estimates.half_width[row])
        if self.samples.rounds < self.plan.min_rounds:
            return (
                f"only {self.samples.rounds} rounds in {self.plan.max_seconds:.0f} s, too few for "
                f"an interval: {self.plan.min_rounds} are needed"
            )
        if half_width <= self.precision:
            return ""
        waited = preempted_share(self.samples.wall[row], self.samples.cpu[row])
        return (
            f"interval ±{half_width:.1%} after {self.samples.rounds} rounds, "
            f"±{self.precision:.1%} asked for; {waited:.0%} of the calls waited for the processor"
        )

"""`measure`: several networks in shared rounds with the reference, on one device."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.errors import MeasurementError
from gnv2_nas.profiling.device import Device, open_device
from gnv2_nas.profiling.plan import Plan, Samples, collect
from gnv2_nas.profiling.record import Measurement
from gnv2_nas.profiling.statistics import Estimates, estimate, preempted_share

REFERENCE = "ghostnetv2-1.0"
REFERENCE_SESSIONS = 2
"""Two sessions of the reference: where its weights lie in memory moves one by about 1 %."""
NETWORKS_AT_ONCE = 12
SECONDS_PER_NETWORK = 2.0

Progress = Callable[[int], None]
"""Called with the number of networks measured since the last call."""


def measure(
    architectures: Sequence[Architecture],
    device: str | Device = "cpu",
    *,
    precision: float = 0.01,
    seconds_per_network: float = SECONDS_PER_NETWORK,
    seed: int = 0,
    reference_ms: float | None = None,
    progress: Progress | None = None,
) -> list[Measurement]:
    """Latency of each network, batch 1, in the order given.

    Networks share rounds with two sessions of stock GhostNetV2 1.0, which every ratio refers
    to; FACTS of the method and its error are in docs/profiling.md.

    Args:
        architectures: what to time; the same one twice is timed as two networks.
        device: a device name, a profile's path, or an open device.
        precision: half-width of the 95 % interval that ends the measurement, relative.
        seconds_per_network: when to give up on that precision; the result is then not `stable`.
        seed: of the order within rounds.
        reference_ms: milliseconds of the reference to express `ms` in; without it, its time in
            the same rounds.
        progress: called after every group of networks.

    Raises:
        UnknownNameError: no such device.
        MeasurementError: the runtime refused a network.
    """
    opened = open_device(device) if isinstance(device, str) else device
    results: list[Measurement] = []
    for start in range(0, len(architectures), NETWORKS_AT_ONCE):
        group = architectures[start : start + NETWORKS_AT_ONCE]
        networks = len(group) + REFERENCE_SESSIONS
        plan = Plan(max_seconds=seconds_per_network * networks)
        results += _measure_group(
            group, opened, plan, precision, random.Random(seed + start), reference_ms
        )
        if progress is not None:
            progress(len(group))
    return results


def _measure_group(
    group: Sequence[Architecture],
    device: Device,
    plan: Plan,
    precision: float,
    rng: random.Random,
    reference_ms: float | None,
) -> list[Measurement]:
    clock: Literal["cpu", "wall"] = "cpu" if device.profile.threads == 1 else "wall"
    networks = [preset(REFERENCE)] * REFERENCE_SESSIONS + list(group)
    sessions = [device.load(arch) for arch in networks]
    references = range(REFERENCE_SESSIONS)
    fingerprint = device.fingerprint()
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")

    def estimates_of(samples: Samples) -> Estimates:
        seconds = samples.cpu if clock == "cpu" else samples.wall
        if not (seconds > 0).all():
            raise MeasurementError(
                f"the {clock} clock of this machine is too coarse: a call took 0 seconds"
            )
        return estimate(seconds, references)

    def enough(samples: Samples) -> bool:
        half_width = estimates_of(samples).half_width[REFERENCE_SESSIONS:]
        return bool((half_width <= precision).all())

    samples = collect([session.run for session in sessions], plan, rng, enough)
    estimates = estimates_of(samples)
    scale = estimates.reference_seconds * 1e3 if reference_ms is None else reference_ms
    measurements = []
    for row, arch in enumerate(group, start=REFERENCE_SESSIONS):
        ratio, low, high = (float(x[row]) for x in (estimates.ratio, estimates.low, estimates.high))
        wall, cpu = samples.wall[row] * 1e3, samples.cpu[row] * 1e3
        reason = _unstable(float(estimates.half_width[row]), precision, samples, row)
        measurement = Measurement(
            architecture=arch.id,
            device=device.name,
            runtime=device.runtime.name,
            threads=device.profile.threads,
            precision=device.profile.precision,
            ms=ratio * scale,
            ci95=(low * scale, high * scale),
            ratio=ratio,
            ratio_ci95=(low, high),
            stable=not reason,
            reason=reason,
            clock=clock,
            raw_ms=float(sorted(wall)[len(wall) // 2]),
            rounds=samples.rounds,
            taken_at=taken_at,
            fingerprint=fingerprint,
            wall_ms=tuple(round(float(value), 5) for value in wall),
            cpu_ms=tuple(round(float(value), 5) for value in cpu),
        )
        measurements.append(measurement)
    return measurements


def _unstable(half_width: float, precision: float, samples: Samples, row: int) -> str:
    if half_width <= precision:
        return ""
    waited = preempted_share(samples.wall[row], samples.cpu[row])
    return (
        f"interval ±{half_width:.1%} after {samples.rounds} rounds, ±{precision:.1%} asked for; "
        f"{waited:.0%} of the calls waited for the processor"
    )

"""`measure`: time several networks and the panel in shared rounds on one device."""

from __future__ import annotations

import math
import random
import secrets
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import numpy as np

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.device import Calibration, Device
from gnv2_nas.devices.panel import REFERENCE, position, select_references
from gnv2_nas.errors import MeasurementError
from gnv2_nas.measurement.calibration import open_device
from gnv2_nas.measurement.plan import MeasurementOptions, MeasurementPlan, Timings, collect
from gnv2_nas.measurement.record import Measurement
from gnv2_nas.measurement.references import NETWORK_SPREAD, SESSION_SPREAD, SIZE_SPREAD
from gnv2_nas.measurement.stability import compute_percentiles, explain_instability
from gnv2_nas.measurement.statistics import Estimates, Prior, estimate
from gnv2_nas.runner.lock import Waiting, ignore_waiting
from gnv2_nas.stats.intervals import Z95

NETWORKS_AT_ONCE = 32
"""Maximum number of networks that share rounds; each needs about 60 MB while it is measured."""

ProgressCallback = Callable[[float], None]
"""Receives the share of the work that is done, 0 to 1; the last call passes 1."""


def measure(
    architectures: Sequence[Architecture],
    device: str | Device = "cpu",
    *,
    precision: float = 0.01,
    seconds_per_network: float = 3.0,
    sessions: int = 2,
    seed: int = 0,
    reference_ms: float | None = None,
    progress: ProgressCallback = lambda _: None,
    waiting: Waiting = ignore_waiting,
    deadline: float = math.inf,
) -> list[Measurement]:
    """Measure the latency of each network at batch size 1, in the order given.

    Networks share rounds with reference networks of similar size, which every ratio rests on. Each
    file is checked against the torch module before it is timed. While networks are timed, no other
    process of this package measures or scores on the machine. docs/profiling.md describes the
    method and its errors.

    Args:
        architectures: networks to measure. A network given twice is measured as two networks.
        device: device name, path of a profile, or an open device.
        precision: relative half-width of the 95 % interval that ends the measurement. The error of
            the device's calibration is not counted, because measuring longer does not reduce it.
        seconds_per_network: time limit to reach that precision. It includes loading; it excludes
            writing and checking files. A result beyond it is not `stable`.
        sessions: minimum number of times that each network is loaded afresh, time permitting.
        seed: seed of the order within rounds.
        reference_ms: milliseconds of stock GhostNetV2 1.0 that `ms` refers to (default: as
            calibrated; without a calibration, its time in the same rounds).
        progress: called after every round.
        waiting: receives a sentence when another process uses the machine.
        deadline: time of `time.monotonic` at which to stop whatever the precision. Every network
            is still visited once in each session and so has a result, perhaps with a wide interval.

    Raises:
        UnknownNameError: there is no such device.
        MeasurementError: the runtime refused a network, or its results differ from torch's.
    """
    opened = open_device(device) if isinstance(device, str) else device
    return measure_networks(
        architectures,
        opened,
        MeasurementOptions(precision, seconds_per_network, sessions),
        seed=seed,
        reference_ms=reference_ms,
        progress=progress,
        waiting=waiting,
        deadline=deadline,
    )


def measure_networks(
    architectures: Sequence[Architecture],
    device: Device,
    options: MeasurementOptions = MeasurementOptions(),  # noqa: B008  frozen
    *,
    seed: int = 0,
    reference_ms: float | None = None,
    progress: ProgressCallback = lambda _: None,
    waiting: Waiting = ignore_waiting,
    deadline: float = math.inf,
) -> list[Measurement]:
    """Measure networks on an open device, see `measure`."""
    total = len(architectures)
    results: list[Measurement] = []
    for start in range(0, total, NETWORKS_AT_ONCE):
        group = architectures[start : start + NETWORKS_AT_ONCE]

        def group_progress(share: float, start: int = start, size: int = len(group)) -> None:
            progress((start + share * size) / total)

        with device.host.shared(waiting):
            batch = Batch(group, device, options, random.Random(seed + start))
        # The lock is held for one group only, so that two searches alternate.
        with device.host.exclusive(waiting):
            batch.collect(deadline, group_progress)
        results += batch.measurements(reference_ms)
    progress(1.0)
    return results


class Batch:
    """Networks that share rounds with references of similar size.

    The constructor writes, loads and checks all files.

    Raises:
        MeasurementError: the runtime refused a network, or its results differ from torch's.
    """

    def __init__(
        self,
        group: Sequence[Architecture],
        device: Device,
        options: MeasurementOptions,
        rng: random.Random,
    ) -> None:
        self.group, self.device, self.options, self.rng = group, device, options, rng
        self.fingerprint = device.fingerprint()
        self.taken_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.name = secrets.token_hex(6)
        self.panel = self._select_panel()
        self.networks = [*(device.panel[name] for name in self.panel), *group]
        """Networks of the panel, then those of the group."""
        files = [device.write_reference(name) for name in self.panel]
        self.bench = device.host.open_bench([*files, *map(device.runtime.write, group)])
        # OpenVINO favours the networks loaded first by the place of their weights in memory, so
        # references and candidates are loaded in one random order.
        self.parity = {
            row: device.check(self.networks[row], self.bench.load(row))
            for row in rng.sample(range(self.rows), self.rows)
        }

    @property
    def rows(self) -> int:
        return len(self.networks)

    def collect(self, deadline: float, progress: ProgressCallback) -> None:
        """Time all networks and set `timings` and `estimates`."""
        # One network more stands for the panel.
        wanted = self.options.seconds_per_network * (len(self.group) + 1)
        # The limit must be positive, because progress is a share of it.
        left = max(deadline - time.monotonic(), 1e-3)
        plan = MeasurementPlan(sessions=self.options.sessions, max_seconds=min(wanted, left))
        self.timings = collect(self.bench, self.rows, plan, self.rng, self._is_precise, progress)
        self.estimates = self._estimate(self.timings)

    def measurements(self, reference_ms: float | None) -> list[Measurement]:
        """Return one measurement for each network of the group, in its order."""
        own_ms = self.estimates.reference_seconds * 1e3
        down, up = 0.0, 0.0
        if known := self.device.calibration:
            up = Z95 * known.reference_error
            # A machine that was faster than when it was calibrated may be so again.
            down = max(up, math.log(known.reference_ms / own_ms))
        if reference_ms is None:
            reference_ms = known.reference_ms if known else own_ms
        return [
            self._measurement(arch, row, reference_ms, (down, up))
            for row, arch in enumerate(self.group, start=len(self.panel))
        ]

    def _select_panel(self) -> list[str]:
        known = self.device.calibration
        if known is None:
            return [REFERENCE]
        panel = {name: arch for name, arch in self.device.panel.items() if name in known.log_ratios}
        return select_references(self.group, panel)

    def _is_precise(self, timings: Timings) -> bool:
        half = self._estimate(timings).narrowable[len(self.panel) :]
        return bool((half <= self.options.precision).all())

    def _estimate(self, timings: Timings) -> Estimates:
        busy = self.device.clock != "wall"
        if not ((timings.busy if busy else timings.wall) > 0).all():
            raise MeasurementError(
                f"the {self.device.clock} clock is too coarse here: a call took 0 seconds"
            )
        known = self.device.calibration
        ratios = {REFERENCE: 0.0} if known is None else known.log_ratios
        panel = {row: ratios[name] for row, name in enumerate(self.panel)}
        return estimate(timings, panel, self._prior(known), busy=busy)

    def _prior(self, known: Calibration | None) -> Prior:
        positions = np.array([position(arch) for arch in self.networks])
        if known is None:
            spreads = np.full(self.rows, SESSION_SPREAD)
            return Prior(positions, spreads, SIZE_SPREAD, NETWORK_SPREAD)
        spreads = np.array(
            [self._session_spread(arch, known.session_spreads) for arch in self.networks]
        )
        names = list(known.log_ratios)
        numbers = [names.index(name) for name in self.panel]
        covariance = np.array(known.covariance)[np.ix_(numbers, numbers)]
        return Prior(positions, spreads, known.size_spread, NETWORK_SPREAD, covariance)

    def _session_spread(self, arch: Architecture, known: Mapping[str, float]) -> float:
        """Return the spread between sessions of references of similar size."""
        alike = select_references([arch], {name: self.device.panel[name] for name in known})
        return math.sqrt(statistics.mean(known[name] ** 2 for name in alike))

    def _measurement(
        self, arch: Architecture, row: int, reference_ms: float, reference_half: tuple[float, float]
    ) -> Measurement:
        """
        Args:
            reference_half: half-widths of the reference's time downwards and upwards, in logs.
        """
        profile = self.device.profile
        log_ratio, half = float(self.estimates.log_ratio[row]), float(self.estimates.half[row])
        ratio, low, high = (math.exp(log_ratio + side * half) for side in (0, -1, 1))
        ms, (down, up) = ratio * reference_ms, reference_half
        wall_ms, busy_ms = self.timings.wall[row] * 1e3, self.timings.busy[row] * 1e3
        reason = explain_instability(
            self.timings, self.estimates, row, self.options.precision, self.device
        )
        return Measurement(
            architecture=arch.id,
            device=self.device.name,
            runtime=self.device.runtime.name,
            threads=profile.threads,
            precision=profile.precision,
            ms=ms,
            ci95=(ms * math.exp(-math.hypot(half, down)), ms * math.exp(math.hypot(half, up))),
            ratio=ratio,
            ratio_ci95=(low, high),
            stable=not reason,
            reason=reason,
            clock=self.device.clock,
            raw_ms=float(np.median(wall_ms)),
            rounds=self.timings.rounds,
            sessions=self.timings.sessions,
            parity=self.parity[row],
            percentiles_ms=compute_percentiles(wall_ms),
            errors=self.estimates.errors(row),
            batch=self.name,
            taken_at=self.taken_at,
            fingerprint=self.fingerprint,
            wall_ms=tuple(wall_ms.round(5).tolist()),
            cpu_ms=tuple(busy_ms.round(5).tolist()),
        )

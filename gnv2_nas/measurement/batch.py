"""Networks and references that share rounds: write, load, check and time them."""

from __future__ import annotations

import math
import random
import secrets
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.devices.device import Calibration, Device
from gnv2_nas.devices.host import Bench
from gnv2_nas.devices.panel import REFERENCE, position, select_references
from gnv2_nas.errors import MeasurementError
from gnv2_nas.formats.foreign.network import TimedNetwork
from gnv2_nas.measurement.plan import (
    MeasurementOptions,
    MeasurementPlan,
    Timings,
    allow_pauses,
    time_networks,
)
from gnv2_nas.measurement.reconnect import use_device
from gnv2_nas.measurement.records.record import Measurement, PanelSamples
from gnv2_nas.measurement.records.store import hash_files
from gnv2_nas.measurement.references import NETWORK_SPREAD, SESSION_SPREAD, SIZE_SPREAD
from gnv2_nas.measurement.stability import compute_percentiles, explain_instability
from gnv2_nas.measurement.statistics import Estimates, Prior, estimate
from gnv2_nas.runner.lock import DeviceLock, Waiting
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.stats.intervals import Z95

ProgressCallback = Callable[[float], None]
"""Receives the share of the work that is done, 0 to 1; the last call passes 1."""


class Batch:
    """Networks that share rounds with references of similar size.

    Args:
        group: the networks.
        device: where they are measured.
        options: how exactly.
        seed: seed of all orders.
    """

    def __init__(
        self,
        group: Sequence[TimedNetwork],
        device: Device,
        options: MeasurementOptions,
        seed: int,
    ) -> None:
        self.group, self.device, self.options = group, device, options
        self.rng = random.Random(seed)
        self.panel = self._select_panel()
        self.networks: list[TimedNetwork] = [*(device.panel[name] for name in self.panel), *group]
        """Networks of the panel, then those of the group."""
        self.rows = len(self.networks)
        self.files: Sequence[RuntimeFiles] = ()

    def write(self, waiting: Waiting) -> None:
        """Write all files, bring them to the device, and compute the logits that they must give.

        Raises:
            MeasurementError: the runtime cannot run a network.
        """
        device = self.device
        with DeviceLock.shared(waiting):
            panel = [device.write_reference(name) for name in self.panel]
            self.files = [*panel, *map(device.write, self.group)]
            for network in self.networks:
                device.expected_logits(network)
        self.stored = device.host.store(self.files)

    def measure(self, deadline: float, progress: ProgressCallback, waiting: Waiting) -> None:
        """Load, check and time all networks, and set `timings` and `estimates`.

        Raises:
            MeasurementError: the runtime refused a network, or its results differ from torch's.
        """

        def load() -> Bench:
            progress(0.0)
            return self.load()

        def time_all(bench: Bench) -> None:
            self._collect(bench, deadline, progress, waiting)

        use_device(self.device.host, waiting, load, time_all)

    def load(self) -> Bench:
        """Load and check all networks."""
        self.fingerprint = self.device.fingerprint()
        self.taken_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.name = secrets.token_hex(6)
        bench = self.device.host.open_bench(self.stored)
        # OpenVINO favours the networks loaded first by the place of their weights in memory, so
        # references and candidates are loaded in one random order.
        self.parity = {
            row: self.device.check(self.networks[row], bench.load(row))
            for row in self.rng.sample(range(self.rows), self.rows)
        }
        return bench

    def _collect(
        self, bench: Bench, deadline: float, progress: ProgressCallback, waiting: Waiting
    ) -> None:
        options = self.options
        # One network more stands for the panel.
        wanted = options.seconds_per_network * (len(self.group) + 1)
        plan = MeasurementPlan(sessions=options.sessions, max_seconds=wanted)
        plan = allow_pauses(plan, self.rows, self.device.profile.pace)
        left = deadline - time.monotonic()
        self.timings, self.conditions = time_networks(
            bench, self.rows, plan, self.rng, self._is_precise, left, progress, waiting
        )
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
        samples = self._panel_samples()
        return [
            self._measurement(network, row, reference_ms, (down, up), samples)
            for row, network in enumerate(self.group, start=len(self.panel))
        ]

    def _panel_samples(self) -> PanelSamples:
        names, timings = self.panel, self.timings
        return PanelSamples(
            batch=self.name,
            session=tuple(timings.session.tolist()),
            wall_ms={name: _samples(timings.wall[row]) for row, name in enumerate(names)},
            cpu_ms={name: _samples(timings.busy[row]) for row, name in enumerate(names)},
        )

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
        positions = np.array([position(network) for network in self.networks])
        if known is None:
            spreads = np.full(self.rows, SESSION_SPREAD)
            return Prior(positions, spreads, SIZE_SPREAD, NETWORK_SPREAD)
        spreads = np.array(
            [self._session_spread(network, known.session_spreads) for network in self.networks]
        )
        names = list(known.log_ratios)
        numbers = [names.index(name) for name in self.panel]
        covariance = np.array(known.covariance)[np.ix_(numbers, numbers)]
        return Prior(positions, spreads, known.size_spread, NETWORK_SPREAD, covariance)

    def _session_spread(self, network: TimedNetwork, known: Mapping[str, float]) -> float:
        """Return the spread between sessions of references of similar size."""
        alike = select_references([network], {name: self.device.panel[name] for name in known})
        return math.sqrt(statistics.mean(known[name] ** 2 for name in alike))

    def _measurement(
        self,
        network: TimedNetwork,
        row: int,
        reference_ms: float,
        reference_half: tuple[float, float],
        panel: PanelSamples,
    ) -> Measurement:
        """
        Args:
            reference_half: half-widths of the reference's time downwards and upwards, in logs.
            panel: raw samples of the references.
        """
        profile, calibration = self.device.profile, self.device.calibration
        log_ratio, half = float(self.estimates.log_ratio[row]), float(self.estimates.half[row])
        ratio, low, high = (math.exp(log_ratio + side * half) for side in (0, -1, 1))
        ms, (down, up) = ratio * reference_ms, reference_half
        wall_ms = self.timings.wall[row] * 1e3
        unsteady = explain_instability(
            self.timings, self.estimates, row, self.options.precision, self.device
        )
        reason = "; ".join(filter(None, (self.conditions.reason, unsteady)))
        return Measurement(
            architecture=network.id,
            device=self.device.name,
            runtime=self.device.runs,
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
            # A benchmark program prints no single calls.
            percentiles_ms={} if profile.benchmark else compute_percentiles(wall_ms),
            errors=self.estimates.errors(row),
            batch=self.name,
            taken_at=self.taken_at,
            fingerprint=self.fingerprint,
            pace=profile.pace,
            conditions=self.conditions,
            wall_ms=_samples(self.timings.wall[row]),
            cpu_ms=_samples(self.timings.busy[row]),
            panel=panel,
            profile_hash=profile.content_hash,
            files_hash=hash_files(self.files[row]),
            calibration=calibration.content_hash if calibration else "",
            software=metadata.version("gnv2-nas"),
        )


def _samples(seconds: NDArray[np.float64]) -> tuple[float, ...]:
    """Return milliseconds as they are stored."""
    return tuple((seconds * 1e3).round(5).tolist())

"""`measure`: several networks in shared rounds with the panel, on one device."""

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
from gnv2_nas.devices.device import Calibration, Device, PreparedNetwork
from gnv2_nas.devices.lock import DeviceLock, Waiting, ignore_waiting
from gnv2_nas.devices.panel import REFERENCE, like, position
from gnv2_nas.errors import MeasurementError
from gnv2_nas.measurement.calibration import open_device
from gnv2_nas.measurement.plan import MeasurementPlan, Run, Timings, collect
from gnv2_nas.measurement.record import Measurement
from gnv2_nas.measurement.stability import explain_instability, percentiles
from gnv2_nas.measurement.statistics import (
    NETWORK_SPREAD,
    SESSION_SPREAD,
    SIZE_SPREAD,
    Estimates,
    Prior,
    estimate,
)
from gnv2_nas.runtimes.base import Session
from gnv2_nas.stats.intervals import Z95

NETWORKS_AT_ONCE = 32
"""So many share rounds; each takes about 60 MB while it is measured."""
SECONDS_PER_NETWORK = 3.0

ProgressCallback = Callable[[float], None]
"""Called with the share of the work done so far, 0 to 1; the last call says 1."""


def measure(
    architectures: Sequence[Architecture],
    device: str | Device = "cpu",
    *,
    precision: float = 0.01,
    seconds_per_network: float = SECONDS_PER_NETWORK,
    sessions: int = 2,
    seed: int = 0,
    reference_ms: float | None = None,
    progress: ProgressCallback = lambda _: None,
    waiting: Waiting = ignore_waiting,
    deadline: float = math.inf,
) -> list[Measurement]:
    """Latency of each network, batch 1, in the order given.

    Networks share rounds with reference networks of like size, which every ratio rests on. Every
    file is checked against the torch module before it is timed. While networks are timed, no
    other process of this package measures or scores on the machine. The method and its error are
    in docs/profiling.md.

    Args:
        architectures: what to time; the same one twice is timed as two networks.
        device: a device name, a profile's path, or an open device.
        precision: half-width of the 95 % interval that ends the measurement, relative; the error
            of the device's calibration, which no measurement makes less, is not counted.
        seconds_per_network: when to give up on that precision, loading included, writing and
            checking the file not; the result is then not `stable`.
        sessions: how often each network is loaded afresh at least, time permitting.
        seed: of the order within rounds.
        reference_ms: milliseconds of the reference to express `ms` in; without it, what the
            device was calibrated to, or its time in the same rounds.
        progress: called after every round.
        waiting: told what is waited for, when another process measures or scores.
        deadline: of `time.monotonic`, when to end whatever the precision. Every network is still
            visited once in each of `sessions`: what is begun has a result, if a wide one.

    Raises:
        UnknownNameError: no such device.
        MeasurementError: the runtime refused a network, or computes something else than torch.
    """
    opened = open_device(device) if isinstance(device, str) else device
    total = len(architectures)
    results: list[Measurement] = []
    for start in range(0, total, NETWORKS_AT_ONCE):
        group = architectures[start : start + NETWORKS_AT_ONCE]

        def group_progress(share: float, start: int = start, size: int = len(group)) -> None:
            progress((start + share * size) / total)

        with DeviceLock.shared(waiting):
            batch = _Batch(group, opened, precision, random.Random(seed + start))
        # For one group, never for all: two searches take turns.
        with DeviceLock.exclusive(waiting):
            batch.collect(seconds_per_network, sessions, deadline, group_progress)
        results += batch.measurements(reference_ms)
    progress(1.0)
    return results


class _Batch:
    """Networks that share rounds with references like them."""

    def __init__(
        self,
        group: Sequence[Architecture],
        device: Device,
        precision: float,
        rng: random.Random,
    ) -> None:
        self.group, self.device, self.precision, self.rng = group, device, precision, rng
        self.fingerprint = device.fingerprint()
        self.taken_at = datetime.now(UTC).isoformat(timespec="seconds")
        self.name = secrets.token_hex(6)
        self.panel = self._references()
        self.ready: dict[str, PreparedNetwork] = {}
        self.checked: list[Session | None] = [None] * len(self.panel)
        # In OpenVINO the networks loaded first are favoured by where their weights come to lie, so
        # references and candidates are loaded in one order drawn by lot.
        for row in rng.sample(range(self.rows), self.rows):
            if row < len(self.panel):
                self.checked[row] = device.open_reference(self.panel[row])
            else:
                arch = group[row - len(self.panel)]
                self.ready[arch.id] = device.prepare(arch)

    @property
    def rows(self) -> int:
        """The panel's networks, then those of the group."""
        return len(self.panel) + len(self.group)

    def _references(self) -> list[str]:
        known = self.device.calibration
        if known is None:
            return [REFERENCE]
        panel = {name: arch for name, arch in self.device.panel.items() if name in known.log_ratios}
        return like(self.group, panel)

    def collect(
        self, seconds_per_network: float, sessions: int, deadline: float, progress: ProgressCallback
    ) -> None:
        """Time all networks; `visits` and `estimates` are there afterwards."""
        # One more for the panel.
        wanted = seconds_per_network * (len(self.group) + 1)
        # Above 0, for shares of it are told.
        left = max(deadline - time.monotonic(), 1e-3)
        self.plan = MeasurementPlan(sessions=sessions, max_seconds=min(wanted, left))
        self.timings = collect(
            self._open_session, self.plan, self.device.runtime.timer, self.rng, self._enough,
            progress,
        )  # fmt: skip
        self.estimates = self._estimates(self.timings)

    def _open_session(self, _: int) -> list[Run]:
        opened = {row: self._session(row) for row in self.rng.sample(range(self.rows), self.rows)}
        return [opened[row].run for row in range(self.rows)]

    def _session(self, row: int) -> Session:
        """A session no other network has: the one that was checked, the first time."""
        if row < len(self.panel):
            checked, self.checked[row] = self.checked[row], None
            return checked or self.device.open_reference(self.panel[row])
        ready = self.ready[self.group[row - len(self.panel)].id]
        checked, ready.session = ready.session, None
        return checked or self.device.open(ready.files)

    def _enough(self, timings: Timings) -> bool:
        half = self._estimates(timings).narrowable[len(self.panel) :]
        return bool((half <= self.precision).all())

    def _estimates(self, timings: Timings) -> Estimates:
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
        networks = [*(self.device.panel[name] for name in self.panel), *self.group]
        places = np.array([position(arch) for arch in networks])
        if known is None:
            return Prior(places, np.full(self.rows, SESSION_SPREAD), SIZE_SPREAD, NETWORK_SPREAD)
        spreads = [self._session_spread(arch, known.session_spreads) for arch in networks]
        names = list(known.log_ratios)
        numbers = [names.index(name) for name in self.panel]
        covariance = np.array(known.covariance)[np.ix_(numbers, numbers)]
        return Prior(places, np.array(spreads), known.size_spread, NETWORK_SPREAD, covariance)

    def _session_spread(self, arch: Architecture, known: Mapping[str, float]) -> float:
        """What is known of networks like it."""
        alike = like([arch], {name: self.device.panel[name] for name in known})
        return math.sqrt(statistics.mean(known[name] ** 2 for name in alike))

    def measurements(self, reference_ms: float | None) -> list[Measurement]:
        """One for each network of the group, in its order."""
        own_ms = self.estimates.reference_seconds * 1e3
        down, up = 0.0, 0.0
        if known := self.device.calibration:
            up = Z95 * known.reference_error
            # What took less time than it is said to take may do so again.
            down = max(up, math.log(known.reference_ms / own_ms))
        if reference_ms is None:
            reference_ms = known.reference_ms if known else own_ms
        return [
            self._measurement(arch, row, reference_ms, (down, up))
            for row, arch in enumerate(self.group, start=len(self.panel))
        ]

    def _measurement(
        self, arch: Architecture, row: int, reference_ms: float, of_reference: tuple[float, float]
    ) -> Measurement:
        """Args: of_reference: how far the reference's time reaches down and up, in logs."""
        profile = self.device.profile
        log_ratio, half = float(self.estimates.log_ratio[row]), float(self.estimates.half[row])
        ratio, low, high = (math.exp(log_ratio + side * half) for side in (0, -1, 1))
        ms, (down, up) = ratio * reference_ms, of_reference
        wall_ms, busy_ms = self.timings.wall[row] * 1e3, self.timings.busy[row] * 1e3
        reason = explain_instability(self.timings, self.estimates, row, self.precision, self.device)
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
            parity=self.ready[arch.id].parity,
            percentiles_ms=percentiles(wall_ms),
            errors=self.estimates.errors(row),
            batch=self.name,
            taken_at=self.taken_at,
            fingerprint=self.fingerprint,
            wall_ms=tuple(wall_ms.round(5).tolist()),
            cpu_ms=tuple(busy_ms.round(5).tolist()),
        )

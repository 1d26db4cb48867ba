"""Measuring on one device of a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.device import Device
from gnv2_nas.formats.foreign.network import ForeignNetwork, TimedNetwork
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.measurement.foreign import check_loads
from gnv2_nas.measurement.plan import MIN_SLOW_ROUNDS, MeasurementOptions, paced_seconds
from gnv2_nas.measurement.protocol import measure_networks
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.measurement.records.reuse import DeviceIdentity, find_reusable, identify
from gnv2_nas.measurement.records.store import append_measurements
from gnv2_nas.runner.lock import DeviceLock, Waiting, ignore_waiting, lock_deadline
from gnv2_nas.search.engine import ScoringBackend
from gnv2_nas.search.pace import Deadline, MeasuringPace
from gnv2_nas.search.study.settings import Settings

SEARCHING = MeasurementOptions(precision=0.03, seconds_per_network=1.0)
"""Precise enough to rank networks during a search."""


class Lane(Protocol):
    """Measures networks on one device. It may live in this process or elsewhere."""

    @property
    def name(self) -> str:
        """Label of the device."""
        ...

    @property
    def machine(self) -> str:
        """The machine: lanes of one machine take turns. "" is this one, which does no other work
        while it measures."""
        ...

    @property
    def pace(self) -> MeasuringPace:
        """What measuring has cost so far."""
        ...

    def identify(self) -> DeviceIdentity:
        """What tells which latencies of earlier measurements compare with those to come.

        Raises:
            DeviceError: the device cannot be reached.
        """
        ...

    def get_ready(
        self,
        files: Sequence[ForeignNetwork],
        progress: Callable[[float], None],
        deadline: Deadline,
    ) -> None:
        """Check that files of other tools load, and calibrate the device unless it is calibrated.

        Args:
            files: the files.
            progress: receives the share of the calibration that is done, 0 to 1.
            deadline: end of the search.

        Raises:
            InputError: the device's runtime cannot load a file.
            MeasurementError: the device failed.
            OutOfTimeError: another process used the machine until the deadline.
        """
        ...

    def prepare(self, architectures: Sequence[Architecture]) -> None:
        """Bring the files of networks to another machine, where they will be measured."""
        ...

    def measure(
        self,
        networks: Sequence[TimedNetwork],
        options: MeasurementOptions = ...,
        *,
        deadline: Deadline = ...,
        reusable: int = ...,
    ) -> list[Measurement]:
        """Measure latencies in shared rounds, see `DeviceLane.measure`."""
        ...

    def evaluate_metrics(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """Evaluate metrics on the device, see `DeviceLane.evaluate_metrics`."""
        ...

    def reach(self) -> None:
        """Try whether the device answers.

        Raises:
            DeviceError: it does not.
        """
        ...

    def close(self) -> None:
        """End the connection to the device; a thread that still measures gets a `DeviceError`."""
        ...


class DeviceLane:
    """Measures on a device in the calling thread.

    Args:
        device: the device.
        settings: of the study.
        seed: seed of all orders.
        workers: processes that score; they pause while this machine measures itself.
        waiting: called while another process uses the machine.
        reuse: whether records of earlier measurements may stand for new ones.
    """

    def __init__(
        self,
        device: Device,
        settings: Settings,
        seed: int,
        workers: ScoringBackend | None = None,
        waiting: Waiting = ignore_waiting,
        *,
        reuse: bool = False,
    ) -> None:
        self.device, self.settings, self.seed = device, settings, seed
        self.workers, self.waiting, self.reuse = workers, waiting, reuse
        self.name = device.name
        self.machine = device.profile.reached_by if device.host.is_remote else ""
        self.pace = MeasuringPace(paced_seconds(device.profile.pace, MIN_SLOW_ROUNDS))

    def identify(self) -> DeviceIdentity:
        return identify(self.device)

    def get_ready(
        self,
        files: Sequence[ForeignNetwork],
        progress: Callable[[float], None],
        deadline: Deadline,
    ) -> None:
        """See `Lane.get_ready`."""
        check_loads(files, self.device, self.waiting)
        with lock_deadline(deadline.at):
            ensure_calibrated(self.device, progress, self.waiting, deadline.at)

    def prepare(self, architectures: Sequence[Architecture]) -> None:
        """Write the files of networks and send them, so that `measure` finds them there.

        Raises:
            MeasurementError: the device cannot be reached, or its runtime cannot run a network.
            OutOfTimeError: see `measure`.
        """
        for arch in architectures:
            with DeviceLock.shared(self.waiting):
                files = self.device.runtime.write(arch)
                self.device.expected_logits(arch)
            self.device.host.store([files])

    def measure(
        self,
        networks: Sequence[TimedNetwork],
        options: MeasurementOptions = SEARCHING,
        *,
        deadline: Deadline = Deadline(),  # noqa: B008  frozen
        reusable: int = 0,
    ) -> list[Measurement]:
        """Measure latencies in shared rounds.

        A record of an earlier run that is as precise stands for measuring a network again. It
        shares no rounds with the others, and the parts of its error say so.

        Args:
            deadline: end of the measurement, however wide the intervals are.
            reusable: number of networks, from the first on, that a record may stand for.

        Raises:
            MeasurementError: the device refused a network or failed.
            OutOfTimeError: another process measured for longer than `lock_deadline` allows.
        """
        if not networks:
            return []
        with self._quiet():
            ensure_calibrated(self.device, waiting=self.waiting, deadline=deadline.at)
            known = self._recall(networks[:reusable], options)
            names = [each.id if n < reusable else "" for n, each in enumerate(networks)]
            pairs = zip(networks, names, strict=True)
            missing = [each for each, name in pairs if name not in known]
            measured = iter(self._measure(missing, options, deadline))
        return [known[name] if name in known else next(measured) for name in names]

    def _recall(
        self, networks: Sequence[TimedNetwork], options: MeasurementOptions
    ) -> dict[str, Measurement]:
        """Return records that are as good as measuring, by network."""
        if not self.reuse or not networks:
            return {}
        found = find_reusable(networks, self.device, options.precision, waiting=self.waiting)
        # It may not be as precise as it was to be when it was taken.
        return {
            name: msgspec.structs.replace(each, reused=True, stable=True, reason="")
            for name, each in found.items()
        }

    def _measure(
        self, networks: Sequence[TimedNetwork], options: MeasurementOptions, deadline: Deadline
    ) -> list[Measurement]:
        if not networks:
            return []
        began = deadline.clock()
        until_first_round: list[float] = []

        def progress(share: float) -> None:
            nonlocal began
            if not share and self.machine:
                began = deadline.clock()  # the batch before has ended only now
            elif share and not until_first_round:
                until_first_round.append(deadline.clock() - began)

        measurements = measure_networks(
            networks,
            self.device,
            options,
            seed=self.seed,
            waiting=self.waiting,
            progress=progress,
            deadline=deadline.at,
        )
        self.pace.readied(len(networks), until_first_round[0])
        append_measurements(measurements)
        return measurements

    def _quiet(self) -> AbstractContextManager[None]:
        """Pause the workers while this machine measures itself."""
        return self.workers.paused() if self.workers and not self.machine else nullcontext()

    def evaluate_metrics(self, architectures: Sequence[Architecture]) -> list[dict[str, float]]:
        """Evaluate the device's metrics that the study asks for and that have an `evaluate`.

        Returns:
            For each network, metric → value.

        Raises:
            MeasurementError: the device's runtime cannot run a network.
            OutOfTimeError: another process measured for longer than `lock_deadline` allows.
        """
        found: list[dict[str, float]] = [{} for _ in architectures]
        for metric in self.settings.evaluated:
            here = metric.device in ("", self.name)
            if here and metric.evaluate is not None and architectures:
                values = metric.evaluate(architectures, self.device, self.waiting)
                for own, value in zip(found, values, strict=True):
                    own[metric.name] = value
        return found

    def reach(self) -> None:
        self.device.host.disconnect()
        self.device.fingerprint()

    def close(self) -> None:
        self.device.host.close()

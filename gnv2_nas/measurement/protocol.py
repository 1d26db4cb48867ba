"""`measure`: time several networks and the panel in shared rounds on one device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

from gnv2_nas.devices.device import Device
from gnv2_nas.devices.host import Host
from gnv2_nas.devices.profile import check_pace
from gnv2_nas.errors import InputError
from gnv2_nas.formats.foreign.network import TimedNetwork
from gnv2_nas.measurement.batch import Batch, ProgressCallback
from gnv2_nas.measurement.calibration import open_device
from gnv2_nas.measurement.plan import MeasurementOptions
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.runner.lock import Waiting, ignore_waiting

NETWORKS_AT_ONCE = 32
"""Maximum number of networks that share rounds; each needs about 60 MB while it is measured."""


def measure(
    architectures: Sequence[TimedNetwork],
    device: str | Device = "cpu",
    *,
    precision: float = 0.01,
    seconds_per_network: float = 3.0,
    sessions: int = 2,
    seed: int = 0,
    reference_ms: float | None = None,
    pace: float | None = None,
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
        pace: calls a second, as in an application that gets so many frames, 1 to 1000 (default: as
            the profile says). It goes with the name of a device.
        progress: called after every round.
        waiting: receives a sentence when another process uses the machine.
        deadline: time of `time.monotonic` at which to stop whatever the precision. Every network
            is still visited once in each session and so has a result, perhaps with a wide interval.

    Raises:
        UnknownNameError: there is no such device.
        InputError: the pace is out of range.
        MeasurementError: the runtime refused a network, or its results differ from torch's.
    """
    if pace is not None:
        check_pace(pace)
        if not isinstance(device, str):
            raise InputError("pace goes with the name of a device: an open device has its own")
    opened = open_device(device, pace) if isinstance(device, str) else device
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
    architectures: Sequence[TimedNetwork],
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
    batches = (
        Batch(architectures[start : start + NETWORKS_AT_ONCE], device, options, seed + start)
        for start in range(0, total, NETWORKS_AT_ONCE)
    )
    results: list[Measurement] = []
    for batch in _write_ahead(batches, device.host, waiting):

        def batch_progress(share: float, done: int = len(results), batch: Batch = batch) -> None:
            progress((done + share * len(batch.group)) / total)

        batch.measure(deadline, batch_progress, waiting)
        results += batch.measurements(reference_ms)
    progress(1.0)
    return results


def _write_ahead(batches: Iterable[Batch], host: Host, waiting: Waiting) -> Iterator[Batch]:
    """Yield batches whose files are written and on the device.

    While one batch is measured on another machine, this one prepares the next. No other is held in
    memory, because the files of a batch take up to 1 GB.
    """

    def write(batch: Batch) -> Batch:
        batch.write(waiting)
        return batch

    if not host.is_remote:
        yield from map(write, batches)
        return
    with ThreadPoolExecutor(1) as thread:
        ahead: Future[Batch] | None = None
        for batch in batches:
            following = thread.submit(copy_context().run, write, batch)
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()

"""Fitting a latency model to a device, and going on when interrupted.

Networks are drawn in an order that depends on the seed alone, and every measurement goes to the
device's journal at once. So the same command after a kill, or with more networks, finds there what
was measured already.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gnv2_nas.devices.device import Device
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.devices.lock import Waiting, silent
from gnv2_nas.latency_model.correction import correct_latency_model
from gnv2_nas.latency_model.file import FittedOn, latency_path, save_latency_model
from gnv2_nas.latency_model.model import LatencyModel, fit_latency_model
from gnv2_nas.measurement import journal
from gnv2_nas.measurement.protocol import Progress, measure
from gnv2_nas.measurement.record import Measurement
from gnv2_nas.search.latency_request import CheckedLatencyFit

BATCH = 15
"""Networks that share rounds, and that a kill can lose at most."""


def run_latency_fit(
    checked: CheckedLatencyFit,
    device: Device,
    progress: Progress = lambda _: None,
    waiting: Waiting = silent,
) -> tuple[LatencyModel, FittedOn, Path]:
    """Measure what is not measured yet, fit, and write the model to `profiles/`.

    Args:
        checked: what to fit.
        device: calibrated.
        progress: called with the share of the missing measurements that are taken.
        waiting: told what is waited for, when another process measures or scores.

    Raises:
        MeasurementError: the runtime refused a network, or a correction is no better than none.
        StorageError: the disk refused; measurements already there are kept.
    """
    architectures = checked.architectures
    measurements = measure_missing(checked, device, progress, waiting)
    if checked.base is None:
        model = fit_latency_model(architectures, measurements, held_out=checked.held_out)
    else:
        model = correct_latency_model(checked.base, architectures, measurements)
    if device.calibration is not None:
        # Older measurements may be expressed in the milliseconds of another calibration.
        model = replace(model, reference_ms=device.calibration.reference_ms)
    fitted_on = FittedOn(
        device=device.name,
        profile_hash=device.profile.content_hash,
        fingerprint=device.fingerprint(),
        space=checked.request.space or checked.space.name,
        space_hash=checked.space.content_hash,
        corrected_from=checked.base_device,
    )
    path = latency_path(device.name)
    save_latency_model(model, fitted_on, path)
    return model, fitted_on, path


def measure_missing(
    checked: CheckedLatencyFit, device: Device, progress: Progress, waiting: Waiting
) -> list[Measurement]:
    """One measurement for each network: from the journal where it is there, else taken now."""
    request, found = checked.request, known_measurements(device)
    missing = [arch for arch in checked.architectures if arch.id not in found]
    for start in range(0, len(missing), BATCH):
        batch = missing[start : start + BATCH]

        def batch_progress(share: float, start: int = start, size: int = len(batch)) -> None:
            progress((start + share * size) / len(missing))

        taken = measure(
            batch,
            device,
            seconds_per_network=request.seconds_per_network,
            seed=request.seed + start,
            progress=batch_progress,
            waiting=waiting,
        )
        journal.append(taken)
        found |= {each.architecture: each for each in taken}
    return [found[arch.id] for arch in checked.architectures]


def known_measurements(device: Device) -> dict[str, Measurement]:
    """Id of each network that the journal has a latency of, taken as it would be taken now → the
    one with the narrowest interval."""
    here = device.fingerprint()
    found: dict[str, Measurement] = {}
    for each in journal.read(device.name):
        if _alike(each, device, here):
            best = found.get(each.architecture)
            if best is None or _width(each) < _width(best):
                found[each.architecture] = each
    return found


def _alike(measurement: Measurement, device: Device, here: Fingerprint) -> bool:
    profile, there = device.profile, measurement.fingerprint
    taken = (measurement.runtime, measurement.threads, measurement.precision, measurement.clock)
    # Cores beyond the threads change nothing.
    machines = [
        (each.cpu, min(each.cores, profile.threads), each.runtime, each.huge_pages)
        for each in (there, here)
    ]
    return machines[0] == machines[1] and taken == (
        profile.runtime, profile.threads, profile.precision, device.clock
    )  # fmt: skip


def _width(measurement: Measurement) -> float:
    low, high = measurement.own_ci95()
    return high / low

"""Fitting a latency model: the request checked, networks drawn and measured, the model fitted.

Networks are drawn so that every choice of every gene comes about equally often.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.device import Device, read_profile
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.devices.lock import Waiting, ignore_waiting
from gnv2_nas.errors import InputError
from gnv2_nas.latency_model.correction import correct_latency_model
from gnv2_nas.latency_model.file import (
    FittedOn,
    latency_path,
    load_latency_model,
    save_latency_model,
)
from gnv2_nas.latency_model.model import LatencyModel, check_enough, fit_latency_model
from gnv2_nas.measurement import journal
from gnv2_nas.measurement.protocol import ProgressCallback, measure
from gnv2_nas.measurement.record import Measurement
from gnv2_nas.search.study import defaults
from gnv2_nas.space import SearchSpace, Value, load_space
from gnv2_nas.workflows.device_files import check_device_files

DRAWS_PER_NETWORK = 10
"""After so many a space is taken to have no more networks."""


def draw_balanced(space: SearchSpace, networks: int, seed: int) -> list[Architecture]:
    """Distinct networks in which every choice of every gene comes about equally often.

    More networks begin with the same ones. Fewer come back where the space has no more.
    """
    found: dict[str, Architecture] = {}
    columns = [
        _balanced(gene.choices, random.Random(f"{seed} {gene.name}")) for gene in space.genes
    ]
    names = [gene.name for gene in space.genes]
    for _ in range(DRAWS_PER_NETWORK * networks):
        params = {name: next(column) for name, column in zip(names, columns, strict=True)}
        arch = space.decode(params)
        found.setdefault(arch.id, arch)
        if len(found) == networks:
            break
    return list(found.values())


def _balanced(choices: Sequence[Value], rng: random.Random) -> Iterator[Value]:
    """All choices in random order, again and again."""
    while True:
        yield from rng.sample(choices, len(choices))


NETWORKS = 120
NETWORKS_TO_CORRECT = 20


class LatencyFitRequest(msgspec.Struct, frozen=True):
    """What `gnv2-nas devices fit` is asked for."""

    device: str
    space: str = ""
    """Name or path; "" is that of `correct`, or the default."""
    networks: int | None = None
    held_out: int | None = None
    """Networks that give the error; a quarter of them without."""
    seconds_per_network: float = 1.5
    seed: int = 0
    correct: Path | None = None
    """File of another device's model, to be corrected instead of fitting one anew."""


class CheckedLatencyFit(msgspec.Struct, frozen=True):
    """A request that can be carried out."""

    request: LatencyFitRequest
    space: SearchSpace
    architectures: list[Architecture]
    """To measure, in the order that they were drawn in."""
    held_out: int
    """0 for a correction: there each network is left out once."""
    base: LatencyModel | None = None
    """To correct; without one a model is fitted anew."""
    base_device: str = ""


def check_latency_fit(request: LatencyFitRequest) -> CheckedLatencyFit:
    """
    Raises:
        InputError: device, space, file or a number; the message says which.
        OutputError: `profiles/` cannot be written to.
    """
    read_profile(request.device)
    if not request.seconds_per_network > 0:
        raise InputError(
            f"--seconds-per-network must be positive, but got {request.seconds_per_network:g}"
        )
    check_device_files(request.device, request.correct, fits=True)
    return _checked_fit(request) if request.correct is None else _checked_correction(request)


def _checked_fit(request: LatencyFitRequest) -> CheckedLatencyFit:
    wanted = NETWORKS if request.networks is None else request.networks
    held_out = max(wanted // 4, 1) if request.held_out is None else request.held_out
    if held_out < 1:
        raise InputError(f"--held-out must be 1 or more, but got {held_out}")
    space = load_space(request.space or defaults.SPACE)
    architectures = draw_balanced(space, wanted, request.seed)
    check_enough(len(architectures) - held_out)
    return CheckedLatencyFit(request, space, architectures, held_out)


def _checked_correction(request: LatencyFitRequest) -> CheckedLatencyFit:
    if request.held_out is not None:
        raise InputError("--held-out does not go with --from: each network is left out once")
    base, fitted_on = load_latency_model(cast(Path, request.correct))
    wanted = NETWORKS_TO_CORRECT if request.networks is None else request.networks
    space = load_space(request.space or fitted_on.space)
    architectures = draw_balanced(space, wanted, request.seed)
    check_enough(len(architectures))
    return CheckedLatencyFit(request, space, architectures, 0, base, fitted_on.device)


BATCH = 15
"""Networks that share rounds, and that a kill can lose at most."""


def run_latency_fit(
    checked: CheckedLatencyFit,
    device: Device,
    progress: ProgressCallback = lambda _: None,
    waiting: Waiting = ignore_waiting,
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
    checked: CheckedLatencyFit, device: Device, progress: ProgressCallback, waiting: Waiting
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

"""Fitting a latency model: networks drawn from a space, measured, and a model fitted to them.

In the drawn networks every choice of every gene occurs about equally often.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.devices.device import Device
from gnv2_nas.devices.profile import read_profile
from gnv2_nas.errors import InputError
from gnv2_nas.latency_model.correction import correct_latency_model
from gnv2_nas.latency_model.file import (
    FittedOn,
    latency_path,
    load_latency_model,
    save_latency_model,
)
from gnv2_nas.latency_model.model import LatencyModel, check_enough, fit_latency_model
from gnv2_nas.measurement.batch import ProgressCallback
from gnv2_nas.measurement.protocol import measure
from gnv2_nas.measurement.records.record import Measurement
from gnv2_nas.measurement.records.reuse import find_reusable
from gnv2_nas.measurement.records.store import append_measurements, store_path
from gnv2_nas.runner.lock import Waiting
from gnv2_nas.search.study import defaults
from gnv2_nas.space import SearchSpace, Value, load_space
from gnv2_nas.workflows.devices import calibrate, check_device
from gnv2_nas.workflows.events import Events, Message, ignore, report_messages, report_task

NETWORKS = 120
NETWORKS_TO_CORRECT = 20
BATCH = 15
"""Networks that share measuring rounds. A kill loses at most one batch."""
DRAWS_PER_NETWORK = 10
"""Limit on draws: after that, the space is taken to have no more networks."""


def draw_balanced(space: SearchSpace, networks: int, seed: int) -> list[Architecture]:
    """Draw distinct networks in which every choice of every gene occurs about equally often.

    A larger draw with the same seed starts with the same networks. A space with fewer networks
    gives all that were found.
    """
    found: dict[str, Architecture] = {}
    columns = [
        _cycle_choices(gene.choices, random.Random(f"{seed} {gene.name}")) for gene in space.genes
    ]
    names = [gene.name for gene in space.genes]
    for _ in range(DRAWS_PER_NETWORK * networks):
        params = {name: next(column) for name, column in zip(names, columns, strict=True)}
        arch = space.decode(params)
        found.setdefault(arch.id, arch)
        if len(found) == networks:
            break
    return list(found.values())


def _cycle_choices(choices: Sequence[Value], rng: random.Random) -> Iterator[Value]:
    """Yield all choices in random order, again and again."""
    while True:
        yield from rng.sample(choices, len(choices))


class LatencyFitRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas devices fit`."""

    device: str = defaults.DEVICE
    space: str = ""
    """Name or path; "" is the space of `correct`, or the default space."""
    networks: int | None = None
    held_out: int | None = None
    """Networks held out to estimate the error; None for a quarter."""
    seconds_per_network: float = 1.5
    seed: int = 0
    correct: Path | None = None
    """Latency model of another device, to correct instead of fitting a new one."""

    def check(self) -> CheckedLatencyFit:
        """Check every option and draw the networks.

        Raises:
            InputError: an option is wrong; the message says which.
            OutputError: `profiles/` is not writable.
        """
        read_profile(self.device)
        if not self.seconds_per_network > 0:
            raise InputError(
                f"--seconds-per-network must be positive, but got {self.seconds_per_network:g}"
            )
        check_device(self.device, self.correct, fits=True)
        return _check_fit(self) if self.correct is None else _check_correction(self, self.correct)


class CheckedLatencyFit(msgspec.Struct, frozen=True):
    """A fit that can start."""

    request: LatencyFitRequest
    space: SearchSpace
    architectures: list[Architecture]
    """To measure, in the order in which they were drawn."""
    held_out: int
    """0 for a correction, which leaves out each network once."""
    base: LatencyModel | None = None
    """The model to correct; None fits a new one."""
    base_device: str = ""


class LatencyFit(msgspec.Struct, frozen=True):
    """A latency model and the file that holds it."""

    model: LatencyModel
    fitted_on: FittedOn
    path: Path

    def to_json(self) -> dict[str, Any]:
        """Return the facts of the model, for scripts."""
        return describe_model(self.model, self.fitted_on) | {"file": str(self.path)}


def describe_model(model: LatencyModel, fitted_on: FittedOn) -> dict[str, Any]:
    """Return the facts of a latency model, for scripts."""
    return {
        "fitted_on": fitted_on,
        "networks": model.networks,
        "held_out": model.held_out,
        "errors": model.errors,
        "noise_floor": model.noise_floor,
        "reference_ms": model.reference_ms,
    }


def run_latency_fit(checked: CheckedLatencyFit, events: Events = ignore) -> LatencyFit:
    """Calibrate the device, measure what is not measured yet, and fit the model.

    Raises:
        MeasurementError: the runtime refused a network, or a correction is no better than none.
        StorageError: the disk is full; earlier measurements are kept.
        KeyboardInterrupt: Ctrl-C; the same request continues with the missing measurements.
    """
    from gnv2_nas.measurement.calibration import open_device

    device = open_device(checked.request.device)
    calibrate(device, events)
    return fit_on_device(checked, device, events)


def fit_on_device(
    checked: CheckedLatencyFit, device: Device, events: Events = ignore
) -> LatencyFit:
    """Measure what is not measured yet on an open device, fit, and write to `profiles/`."""
    architectures, waiting = checked.architectures, report_messages(events)
    known = find_reusable(architectures, device, waiting=waiting)
    events(
        Message(
            f"{len(architectures)} networks of space {checked.space.name}, {len(known)} of them "
            f"measured before; every measurement is kept in {store_path(device.name)}"
        )
    )
    try:
        with report_task(events, f"measuring {len(architectures) - len(known)} networks") as report:
            measurements = measure_missing(checked, device, known, report, waiting)
    except KeyboardInterrupt:
        events(Message("interrupted; run the same command again to measure the missing networks"))
        raise
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
    return LatencyFit(model, fitted_on, path)


def _check_fit(request: LatencyFitRequest) -> CheckedLatencyFit:
    wanted = NETWORKS if request.networks is None else request.networks
    held_out = max(wanted // 4, 1) if request.held_out is None else request.held_out
    if held_out < 1:
        raise InputError(f"--held-out must be 1 or more, but got {held_out}")
    space = load_space(request.space or defaults.SPACE)
    architectures = draw_balanced(space, wanted, request.seed)
    check_enough(len(architectures) - held_out)
    return CheckedLatencyFit(request, space, architectures, held_out)


def _check_correction(request: LatencyFitRequest, correct: Path) -> CheckedLatencyFit:
    if request.held_out is not None:
        raise InputError("--held-out does not go with --from: each network is left out once")
    base, fitted_on = load_latency_model(correct)
    wanted = NETWORKS_TO_CORRECT if request.networks is None else request.networks
    space = load_space(request.space or fitted_on.space)
    architectures = draw_balanced(space, wanted, request.seed)
    check_enough(len(architectures))
    return CheckedLatencyFit(request, space, architectures, 0, base, fitted_on.device)


def measure_missing(
    checked: CheckedLatencyFit,
    device: Device,
    known: Mapping[str, Measurement],
    progress: ProgressCallback,
    waiting: Waiting,
) -> list[Measurement]:
    """Return one measurement for each network, from `known` if it is there."""
    request, found = checked.request, dict(known)
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
        append_measurements(taken)
        found |= {each.architecture: each for each in taken}
    return [found[arch.id] for arch in checked.architectures]

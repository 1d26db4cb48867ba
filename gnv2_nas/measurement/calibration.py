"""Calibration: measuring the panel alone and at length, `profiles/<device>.calibration.json`.

A calibration holds the ratios of the panel to stock GhostNetV2 1.0, the milliseconds of that
reference, the spread of a network between sessions on this device, and the errors of all three.
Every measurement that uses a calibration has the same calibration error.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from gnv2_nas.devices.device import Calibration, Device
from gnv2_nas.devices.host import Bench
from gnv2_nas.devices.panel import REFERENCE, position
from gnv2_nas.devices.profile import calibration_name, find_profile, read_profile
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.measurement.conditions import MeasuredConditions
from gnv2_nas.measurement.plan import MeasurementPlan, Timings, allow_pauses, time_networks
from gnv2_nas.measurement.reconnect import use_device
from gnv2_nas.measurement.records.record import PROFILES_FOLDER
from gnv2_nas.measurement.references import summarize_panel
from gnv2_nas.measurement.statistics import session_levels
from gnv2_nas.runner.lock import DeviceLock, Waiting, ignore_waiting
from gnv2_nas.runtimes.base import Precision

PLAN = MeasurementPlan(sessions=8, rounds=10, max_sessions=32, max_seconds=40.0)
"""Many short sessions, because disturbances of a machine last for seconds."""
BRIEF_PLAN = MeasurementPlan(sessions=2, rounds=20, max_sessions=2, max_seconds=30.0)
"""For runtimes that need up to a minute to load a network."""
MAX_SHARE = 0.3
"""Largest share of the time until a deadline that a calibration may take."""


def open_device(name: str, pace: float | None = None, precision: Precision | None = None) -> Device:
    """Open a device with its calibration, if there is one.

    Args:
        name: name, or path of a profile.
        pace: calls a second in place of the profile's.
        precision: in place of the profile's; the device then has the name "NAME-PRECISION".

    Raises:
        UnknownNameError: there is no such device.
        ProfileError: the profile breaks a rule.
        InputError: the runtime is not installed, or cannot run as the profile says.
    """
    profile = read_profile(name)
    if pace is not None:
        profile = msgspec.structs.replace(profile, pace=pace)
    label = find_profile(name).stem
    if precision not in (None, profile.precision):
        profile = msgspec.structs.replace(profile, precision=precision)
        label = f"{label}-{precision}"
    device = Device(label, profile)
    device.calibration = read_calibration(device)
    return device


def ensure_calibrated(
    device: Device,
    progress: Callable[[float], None] = lambda _: None,
    waiting: Waiting = ignore_waiting,
    deadline: float = math.inf,
) -> None:
    """Calibrate the device and store the result, unless it is calibrated.

    Args:
        device: what to calibrate.
        progress: see `calibrate`.
        waiting: see `calibrate`.
        deadline: time of `time.monotonic`. A calibration that is shortened for it has larger
            errors and is used, but not stored. Neither is one during which the device changed.

    Raises:
        MeasurementError: see `calibrate`.
        StorageError: the folder `profiles` cannot be written to.
    """
    if device.calibration is not None:
        return
    seconds = MAX_SHARE * (deadline - time.monotonic())
    device.calibration = calibrate(device, progress=progress, waiting=waiting, max_seconds=seconds)
    if seconds < _plan(device).max_seconds:
        return
    if changed := device.calibration.changed:
        waiting(f"the calibration of device {device.name} is not kept: {changed}")
    else:
        write_atomically(_path(device), msgspec.json.encode(device.calibration))


def calibrate(
    device: Device,
    *,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
    waiting: Waiting = ignore_waiting,
    max_seconds: float = math.inf,
) -> Calibration:
    """Measure the whole panel in fresh sessions.

    Args:
        device: device to calibrate.
        seed: seed of the order.
        progress: receives the share of the work that is done, 0 to 1.
        waiting: receives a sentence when another process uses the machine.
        max_seconds: time limit; a shorter calibration has larger errors.

    Raises:
        MeasurementError: the runtime refused a network of the panel, or computes something else
            than torch.
    """
    rows = _rows(device)
    rng = random.Random(seed)
    with DeviceLock.shared(waiting):
        files = [device.write_reference(name) for name in rows]
        for arch in device.panel.values():
            device.expected_logits(arch)

    def load() -> Bench:
        bench = device.host.open_bench(files)
        for row in rng.sample(range(len(rows)), len(rows)):
            device.check(device.panel[rows[row]], bench.load(row))
        return bench

    def time_all(bench: Bench) -> tuple[Timings, MeasuredConditions]:
        return time_networks(
            bench, len(rows), _plan(device), rng, lambda _: False, max_seconds, progress, waiting
        )

    timings, conditions = use_device(device.host, waiting, load, time_all)
    progress(1.0)
    positions = np.array([position(device.panel[name]) for name in rows])
    references = [row for row, name in enumerate(rows) if name == REFERENCE]
    levels, noise = session_levels(timings, busy=device.clock != "wall")
    found = summarize_panel(levels, noise, positions, references)
    names, networks = list(device.panel), len(device.panel)
    at = names.index(REFERENCE)
    # The ratio of the reference to the mean of its two copies is 1 by definition.
    log_ratios = np.where(np.arange(networks) == at, 0.0, found.log_ratios[:networks])
    covariance = found.covariance[:networks, :networks].copy()
    covariance[at], covariance[:, at] = 0.0, 0.0
    spreads = found.session_spreads[:networks]
    return Calibration(
        key=calibration_key(device),
        reference_ms=math.exp(found.log_time) * 1e3,
        reference_error=found.time_error,
        log_ratios=dict(zip(names, log_ratios.tolist(), strict=True)),
        covariance=covariance.tolist(),
        session_spreads=dict(zip(names, spreads.tolist(), strict=True)),
        size_spread=found.size_spread,
        sessions=timings.sessions,
        rounds=timings.rounds,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
        changed=conditions.reason,
    )


def _rows(device: Device) -> list[str]:
    """Return the names of what is measured.

    The reference is measured twice, because every ratio rests on it.
    """
    return [*device.panel, *([REFERENCE] if device.is_quick else [])]


def _plan(device: Device) -> MeasurementPlan:
    plan = PLAN if device.is_quick else BRIEF_PLAN
    return allow_pauses(plan, len(_rows(device)), device.profile.pace)


def read_calibration(device: Device) -> Calibration | None:
    """Return the stored calibration of a device.

    Returns:
        None if there is none, or if it is damaged or belongs to another machine, runtime version
        or profile.
    """
    path = _path(device)
    if not path.exists():
        return None
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except msgspec.MsgspecError:
        return None
    return stored if stored.key == calibration_key(device) else None


def calibration_key(device: Device) -> str:
    """Return a hash of machine, runtime and profile; a calibration is valid for one of them."""
    parts = [
        *device.fingerprint().identity(device.profile.threads),
        device.profile.content_hash,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _path(device: Device) -> Path:
    return PROFILES_FOLDER / calibration_name(device.name, device.profile.pace)

"""The panel measured alone and at length: `profiles/<device>.calibration.json`.

What a network's ratio to stock GhostNetV2 1.0 rests on, what its milliseconds are expressed in, how
far apart two identical networks are on this device, and how sure all of that is. A calibration is
one draw: its errors are in every measurement that rests on it, and the same in all of them.
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

from gnv2_nas.devices.device import KIND, Calibration, Device, read_profile
from gnv2_nas.devices.lock import DeviceLock, Waiting, ignore_waiting
from gnv2_nas.devices.panel import REFERENCE, position
from gnv2_nas.files.writing import find_named, write_atomically
from gnv2_nas.measurement.journal import FOLDER
from gnv2_nas.measurement.panel_statistics import summarize_panel
from gnv2_nas.measurement.plan import MeasurementPlan, Run, collect
from gnv2_nas.measurement.statistics import session_levels
from gnv2_nas.runtimes.base import RUNTIMES

PLAN = MeasurementPlan(sessions=8, rounds=10, max_sessions=32, max_seconds=40.0)
"""Many short sessions: what disturbs a machine comes and goes within seconds."""
BRIEF_PLAN = MeasurementPlan(sessions=2, rounds=20, max_sessions=2, max_seconds=30.0)
"""Where loading a network takes up to a minute."""
SHARE = 0.3
"""Of the time that is left, at most, where there is a deadline."""


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
        device: its profile decides how often.
        seed: of the order.
        progress: told the share of the work done, 0 to 1.
        waiting: told what is waited for, when another process measures or scores.
        max_seconds: what there is time for; less than usual makes the errors larger.

    Raises:
        MeasurementError: the runtime refuses a network of the panel.
    """
    quick = RUNTIMES[device.profile.runtime].quick
    plan = PLAN if quick else BRIEF_PLAN
    # Above 0, for shares of it are told.
    seconds = max(min(plan.max_seconds, max_seconds), 1e-3)
    plan = msgspec.structs.replace(plan, max_seconds=seconds)
    # The reference twice: every ratio rests on it.
    rows = [*device.panel, *([REFERENCE] if quick else [])]
    with DeviceLock.shared(waiting):
        for name in device.panel:
            device.open_reference(name)
    rng = random.Random(seed)

    def open_session(_: int) -> list[Run]:
        in_turn = rng.sample(range(len(rows)), len(rows))
        loaded = {row: device.open_reference(rows[row]).run for row in in_turn}
        return [loaded[row] for row in range(len(rows))]

    with DeviceLock.exclusive(waiting):
        timings = collect(open_session, plan, device.runtime.timer, rng, lambda _: False, progress)
    progress(1.0)
    places = np.array([position(device.panel[name]) for name in rows])
    references = [row for row, name in enumerate(rows) if name == REFERENCE]
    levels, noise = session_levels(timings, busy=device.clock != "wall")
    found = summarize_panel(levels, noise, places, references)
    names, networks = list(device.panel), len(device.panel)
    at = names.index(REFERENCE)
    # The ratio to the mean of both copies is one to the network itself.
    log_ratios = np.where(np.arange(networks) == at, 0.0, found.log_ratios[:networks])
    covariance = found.covariance[:networks, :networks].copy()
    covariance[at], covariance[:, at] = 0.0, 0.0
    spreads = found.session_spreads[:networks]
    return Calibration(
        key=_key(device),
        reference_ms=math.exp(found.log_time) * 1e3,
        reference_error=found.time_error,
        log_ratios=dict(zip(names, log_ratios.tolist(), strict=True)),
        covariance=covariance.tolist(),
        session_spreads=dict(zip(names, spreads.tolist(), strict=True)),
        size_spread=found.size_spread,
        sessions=timings.sessions,
        rounds=timings.rounds,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def ensure_calibrated(
    device: Device,
    progress: Callable[[float], None] = lambda _: None,
    folder: Path = FOLDER,
    waiting: Waiting = ignore_waiting,
    deadline: float = math.inf,
) -> None:
    """Calibrate the device and keep the result, unless that was done on this machine before.

    Args:
        device: what to calibrate.
        progress: see `calibrate`.
        folder: of the result.
        waiting: see `calibrate`.
        deadline: of `time.monotonic`. A calibration that has to be shorter for it serves the device
            as it is now, with larger errors, and is not kept.

    Raises:
        MeasurementError: see `calibrate`.
        StorageError: the folder cannot be written to.
    """
    if device.calibration is not None:
        return
    seconds = SHARE * (deadline - time.monotonic())
    device.calibration = calibrate(device, progress=progress, waiting=waiting, max_seconds=seconds)
    if seconds >= PLAN.max_seconds:
        write_atomically(_path(device, folder), msgspec.json.encode(device.calibration))


def read_calibration(device: Device, folder: Path = FOLDER) -> Calibration | None:
    """What was kept for the device as it is now; None when nothing was, or for another machine,
    runtime version or profile."""
    path = _path(device, folder)
    if not path.exists():
        return None
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except msgspec.MsgspecError:
        return None
    return kept if kept.key == _key(device) else None


def open_device(name: str) -> Device:
    """The device of that name with what it was calibrated to; loads its runtime."""
    profile = read_profile(name)
    device = Device(find_named(KIND, "device", name).stem, profile)
    device.calibration = read_calibration(device)
    return device


def _path(device: Device, folder: Path) -> Path:
    return folder / f"{device.name}.calibration.json"


def _key(device: Device) -> str:
    machine = device.fingerprint()
    # Cores beyond the threads change nothing: a calibration holds under `taskset`, too.
    cores = min(machine.cores, device.profile.threads)
    parts = [machine.cpu, cores, machine.runtime, machine.huge_pages]
    parts.append(device.profile.content_hash)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

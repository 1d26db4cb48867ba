"""The panel measured alone and at length: `profiles/<device>.calibration.json`.

What a network's ratio to stock GhostNetV2 1.0 rests on, what its milliseconds are expressed in,
and how far apart two identical networks are on this device.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gnv2_nas.files import write_atomically
from gnv2_nas.profiling.device import Device
from gnv2_nas.profiling.device_lock import Waiting, measuring, scoring, silent
from gnv2_nas.profiling.journal import FOLDER
from gnv2_nas.profiling.plan import Plan, Run, collect
from gnv2_nas.profiling.record import PANEL, Calibration
from gnv2_nas.profiling.runtime import RUNTIMES
from gnv2_nas.profiling.statistics import estimate

PLAN = Plan(sessions=5, rounds=20, max_sessions=5, max_seconds=30.0)
COPIES = 2
"""Of each network of the panel."""
BRIEF_PLAN = Plan(sessions=2, rounds=20, max_sessions=2, max_seconds=30.0)
"""Where loading a network takes up to a minute; with one copy."""


def calibrate(
    device: Device,
    *,
    seed: int = 0,
    progress: Callable[[float], None] = lambda _: None,
    waiting: Waiting = silent,
) -> Calibration:
    """Measure the panel in fresh sessions.

    Args:
        device: its profile decides how often.
        seed: of the order.
        progress: told the share of the work done, 0 to 1.
        waiting: told what is waited for, when another process measures or scores.

    Raises:
        MeasurementError: the runtime refuses a network of the panel.
    """
    names = PANEL[: len(device.panel)]
    quick = RUNTIMES[device.profile.runtime].quick
    plan, copies = (PLAN, COPIES) if quick else (BRIEF_PLAN, 1)
    with scoring(waiting):
        files = [device.ready(arch).artefact for arch in device.panel] * copies
    rng = random.Random(seed)

    def open_session(_: int) -> list[Run]:
        loaded = {
            row: device.open(files[row]).run for row in rng.sample(range(len(files)), len(files))
        }
        return [loaded[row] for row in range(len(files))]

    with measuring(waiting):
        visits = collect(open_session, plan, device.runtime.timer, rng, lambda _: False, progress)
    progress(1.0)
    references = {copy * len(names): 0.0 for copy in range(copies)}
    found = estimate(visits, references, busy=device.clock != "wall", seed=seed)
    log_ratios = found.log_ratio.reshape(copies, len(names)).mean(axis=0)
    return Calibration(
        key=_key(device),
        reference_ms=found.reference_seconds * 1e3,
        log_ratios=dict(zip(names, map(float, log_ratios), strict=True)),
        session_spread=found.spread,
        sessions=visits.sessions,
        rounds=visits.rounds,
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def ensure_calibrated(
    device: Device,
    progress: Callable[[float], None] = lambda _: None,
    folder: Path = FOLDER,
    waiting: Waiting = silent,
) -> None:
    """Calibrate the device and keep the result, unless that was done on this machine before.

    Raises:
        MeasurementError: see `calibrate`.
        StorageError: the folder cannot be written to.
    """
    if device.calibration is None:
        device.calibration = calibrate(device, progress=progress, waiting=waiting)
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


def _path(device: Device, folder: Path) -> Path:
    return folder / f"{device.name}.calibration.json"


def _key(device: Device) -> str:
    machine = device.fingerprint()
    # Cores beyond the threads change nothing: a calibration holds under `taskset`, too.
    cores = min(machine.cores, device.profile.threads)
    parts = [machine.cpu, cores, machine.runtime, machine.huge_pages]
    parts.append(device.profile.content_hash)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

"""Files of latency models: `profiles/<device>.latency.json`, JSON that is checked when read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from gnv2_nas.commands import format_command
from gnv2_nas.devices.device import Device
from gnv2_nas.devices.fingerprint import Fingerprint
from gnv2_nas.errors import InputError
from gnv2_nas.files.writing import write_atomically
from gnv2_nas.latency_model.features import GROUPS, feature_names
from gnv2_nas.latency_model.model import LatencyError, LatencyModel
from gnv2_nas.measurement.records.record import PROFILES_FOLDER
from gnv2_nas.stats.ridge import (
    Ridge,
    RidgeRecord,
    describe_corruption,
    read_model_record,
    restore_ridge,
)

_WHAT = "a latency model that gnv2-nas devices fit wrote"


class FittedOn(msgspec.Struct, frozen=True):
    """Conditions that a model is valid for."""

    device: str
    profile_hash: str
    """Hash of the device profile: runtime, threads, precision."""
    fingerprint: Fingerprint
    space: str
    """Name or path of the search space that the networks were drawn from."""
    space_hash: str
    corrected_from: str = ""
    """Device whose model was corrected; "" for a model of the device's own."""


class _Record(msgspec.Struct, frozen=True, tag="gnv2-nas latency model", tag_field="type"):
    version: Literal[1]
    fitted_on: FittedOn
    networks: int
    held_out: int
    errors: tuple[LatencyError, ...]
    noise_floor: float
    reference_ms: float
    features: list[str]
    """Names of the features; they differ in files of other versions."""
    ridge: RidgeRecord
    correction: RidgeRecord | None = None


def latency_path(device: str, folder: Path = PROFILES_FOLDER) -> Path:
    """Return the path of a device's model."""
    return folder / f"{device}.latency.json"


def save_latency_model(model: LatencyModel, fitted_on: FittedOn, path: Path) -> None:
    """Write the model; an older file is replaced atomically.

    Raises:
        StorageError: the disk refused the write.
    """
    record = _Record(
        version=1,
        fitted_on=fitted_on,
        networks=model.networks,
        held_out=model.held_out,
        errors=model.errors,
        noise_floor=model.noise_floor,
        reference_ms=model.reference_ms,
        features=feature_names(),
        ridge=RidgeRecord.of(model.ridge),
        correction=None if model.correction is None else RidgeRecord.of(model.correction),
    )
    write_atomically(path, msgspec.json.encode(record) + b"\n")


def load_latency_model(path: Path) -> tuple[LatencyModel, FittedOn]:
    """Read a model and the conditions that it is valid for.

    Raises:
        InputError: the file is missing, no latency model, of another version, or corrupt.
    """
    record = read_model_record(path, _Record, _WHAT, InputError)
    if record.features != feature_names() or not record.errors:
        raise InputError(
            f"{path}: a latency model of other features, from another version of gnv2-nas; fit it "
            f"again: {format_command('devices fit', record.fitted_on.device)}"
        )
    if not (record.reference_ms > 0 and record.networks > 0):
        raise InputError(describe_corruption(path))
    model = LatencyModel(
        ridge=restore_ridge(path, record.ridge, len(record.features), InputError),
        correction=_correction(path, record.correction),
        reference_ms=record.reference_ms,
        networks=record.networks,
        held_out=record.held_out,
        errors=record.errors,
        noise_floor=record.noise_floor,
    )
    return model, record.fitted_on


def load_device_model(
    device: Device, folder: Path = PROFILES_FOLDER
) -> tuple[LatencyModel, FittedOn]:
    """Read the model of a device.

    Raises:
        InputError: there is none, or it was fitted with another profile; see also
            `load_latency_model`.
    """
    path, again = latency_path(device.name, folder), format_command("devices fit", device.name)
    if not path.exists():
        raise InputError(f"device {device.name!r} has no latency model ({path}); make one: {again}")
    model, fitted_on = load_latency_model(path)
    if fitted_on.profile_hash != device.profile.content_hash:
        raise InputError(
            f"{path} was fitted with another device profile (runtime, threads or precision) than "
            f"{device.name!r} has now; fit it again: {again}"
        )
    return model, fitted_on


def differences(fitted_on: FittedOn, here: Fingerprint, threads: int) -> list[str]:
    """Describe how this machine differs from the one that the model was fitted on."""
    there = fitted_on.fingerprint
    compared = {
        "processor": (there.cpu, here.cpu),
        # More cores than threads make no difference.
        "cores for its threads": (min(there.cores, threads), min(here.cores, threads)),
        "runtime": (there.runtime, here.runtime),
        "huge pages": (there.huge_pages, here.huge_pages),
    }
    return [
        f"{what}: fitted on {before}, here {now}"
        for what, (before, now) in compared.items()
        if before != now
    ]


def _correction(path: Path, stored: RidgeRecord | None) -> Ridge | None:
    if stored is None:
        return None
    return restore_ridge(path, stored, 1 + len(GROUPS), InputError)

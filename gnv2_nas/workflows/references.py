"""Networks as a user names them: a preset, a file, or a trial of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from gnv2_nas.arch import Architecture, list_presets, preset
from gnv2_nas.checkpoints.checkpoint import read_architecture
from gnv2_nas.errors import ArchitectureError, InputError, UnknownNameError
from gnv2_nas.graph import count
from gnv2_nas.search.storage.sqlite import no_such_trial, require_trial
from gnv2_nas.units import format_quantity

NetworkReference: TypeAlias = str | Architecture
"""A preset, FILE.json, FILE.safetensors or STUDY:TRIAL; in Python also the architecture itself."""


def find_network(reference: NetworkReference, storage: str) -> Architecture:
    """Return the network that `reference` names.

    Args:
        reference: "ghostnetv2-1.0", "network.json", "trained.safetensors" or "study:trial".
        storage: URL of the database that holds the studies.

    Raises:
        UnknownNameError: no such preset, file, study or trial.
        ArchitectureError: the JSON file holds no architecture.
        CheckpointError: the weight file does not say which network it belongs to.
    """
    if isinstance(reference, Architecture):
        return reference
    if reference in list_presets():
        return preset(reference)
    if reference.endswith(".json"):
        return _read_json(Path(reference))
    if file := find_weight_file(reference):
        return read_architecture(file)
    study, colon, trial = reference.rpartition(":")
    if colon:
        return _read_trial(study, trial, storage)
    known = [*list_presets(), "FILE.json", "FILE.safetensors", "STUDY:TRIAL"]
    raise UnknownNameError("network", reference, known)


def find_weight_file(reference: NetworkReference) -> Path | None:
    """Return the weight file that names the network; None if something else names it."""
    if isinstance(reference, str) and reference.endswith(".safetensors"):
        return Path(reference)
    return None


def describe_size(arch: Architecture) -> str:
    """Return "167.0 MFLOPs, 6.16 Mparams, 30.1 MB"."""
    counts = count(arch)
    return ", ".join(
        (
            format_quantity("macs", counts.macs),
            format_quantity("params", counts.params),
            format_quantity("bytes", counts.memory_bytes),
        )
    )


def _read_json(path: Path) -> Architecture:
    try:
        return Architecture.from_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except ArchitectureError as error:
        raise ArchitectureError(f"{path}: {error}") from None


def _read_trial(study: str, text: str, storage: str) -> Architecture:
    if not text.isdecimal():
        raise InputError(
            f"{study}:{text}: a trial is a number, for instance {study}:12, but got {text!r}"
        )
    number = int(text)
    require_trial(storage, study, number)
    from gnv2_nas.search.storage.format import read_trial
    from gnv2_nas.search.storage.opening import open_study

    trials = open_study(storage, study).frozen_trials()
    for trial in trials:
        if trial.number == number:
            return read_trial(trial).architecture
    raise no_such_trial(study, number, max((each.number for each in trials), default=None))

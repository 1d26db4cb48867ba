"""Networks as a user names them: a preset, a file, or a trial of a study."""

from __future__ import annotations

from pathlib import Path

from gnv2_nas.arch import Architecture, list_presets, preset
from gnv2_nas.checkpoints.checkpoint import read_architecture
from gnv2_nas.errors import ArchitectureError, InputError, UnknownNameError
from gnv2_nas.search.storage.sqlite import no_such_trial, require_trial


def find_network(reference: str, storage: str) -> Architecture:
    """The network that `reference` means.

    Args:
        reference: "ghostnetv2-1.0", "network.json", "trained.safetensors" or "study:trial".
        storage: URL of the database that studies are looked for in.

    Raises:
        UnknownNameError: no such preset, file, study or trial.
        ArchitectureError: the JSON file holds no architecture.
        CheckpointError: the weights do not say which network they are of.
    """
    if reference in list_presets():
        return preset(reference)
    if reference.endswith(".json"):
        return _from_file(Path(reference))
    if is_weights(reference):
        return read_architecture(Path(reference))
    study, colon, trial = reference.rpartition(":")
    if colon:
        return _from_study(study, trial, storage)
    known = [*list_presets(), "FILE.json", "FILE.safetensors", "STUDY:TRIAL"]
    raise UnknownNameError("network", reference, known)


def is_weights(reference: str) -> bool:
    """Whether a network is named by a file of its weights."""
    return reference.endswith(".safetensors")


def _from_file(path: Path) -> Architecture:
    try:
        return Architecture.from_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except ArchitectureError as error:
        raise ArchitectureError(f"{path}: {error}") from None


def _from_study(study: str, text: str, storage: str) -> Architecture:
    if not text.isdecimal():
        raise InputError(
            f"{study}:{text}: a trial is a number, for instance {study}:12, but got {text!r}"
        )
    number = int(text)
    require_trial(storage, study, number)
    from gnv2_nas.search.storage.format import candidate_of
    from gnv2_nas.search.storage.opening import open_study

    trials = open_study(storage, study).trials()
    for trial in trials:
        if trial.number == number:
            return candidate_of(trial).architecture
    raise no_such_trial(study, number, max((each.number for each in trials), default=None))

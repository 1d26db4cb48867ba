"""Networks as a user names them (a preset, a file, or a trial of a study), and their weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gnv2_nas.arch import Architecture, list_presets, preset
from gnv2_nas.checkpoints.checkpoint import check_checkpoint, read_architecture
from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.errors import ArchitectureError, InputError, UnknownNameError
from gnv2_nas.formats.foreign.network import SUFFIXES, TimedNetwork, is_foreign
from gnv2_nas.formats.foreign.reading import read_foreign
from gnv2_nas.graph import count
from gnv2_nas.search.storage.sqlite import no_such_trial, require_trial
from gnv2_nas.units import format_quantity
from gnv2_nas.workflows.events import Events, Message, ignore

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset
    from gnv2_nas.nn import Network

NetworkReference: TypeAlias = str | Architecture
"""A preset, FILE.json, FILE.safetensors or STUDY:TRIAL; in Python also the architecture itself."""


KNOWN = (*list_presets(), "FILE.json", "FILE.safetensors", "STUDY:TRIAL")
"""What may name a network, for messages."""


def find_network(
    reference: NetworkReference, storage: str, known: Sequence[str] = KNOWN
) -> Architecture:
    """Return the network that `reference` names.

    Args:
        reference: "ghostnetv2-1.0", "network.json", "trained.safetensors" or "study:trial".
        storage: URL of the database that holds the studies.
        known: what an unknown name might have been.

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
    from gnv2_nas.search.storage.studies import open_study

    trials = open_study(storage, study).frozen_trials()
    for trial in trials:
        if trial.number == number:
            return read_trial(trial).architecture
    raise no_such_trial(study, number, max((each.number for each in trials), default=None))


def match_classes(
    arch: Architecture, path: Path, weights_from: str = AVERAGE, events: Events = ignore
) -> Architecture:
    """Return `arch` with the number of classes of a checkpoint. Imports no torch.

    Args:
        arch: the network that the weights belong to.
        path: the checkpoint.
        weights_from: "average", "raw", or the name of one of its state dicts.
        events: told which state dict is used, and about a changed number of classes.

    Raises:
        CheckpointError: the file does not fit the network, or is not safe to load.
    """
    found = check_checkpoint(path, arch, weights_from, any_classes=True)
    if found.note:
        events(Message(f"weights: of {path.name} {found.note}"))
    if found.arch != arch:
        events(
            Message(
                f"weights: they have {found.arch.num_classes} classes, so the network gets as many "
                f"instead of {arch.num_classes}"
            )
        )
    return found.arch


def load_network(arch: Architecture, path: Path, weights_from: str = AVERAGE) -> Network:
    """Return the module of `arch` with the weights of a checkpoint, in evaluation mode.

    Raises:
        CheckpointError: the file does not fit the network, or is not safe to load.
    """
    from gnv2_nas.nn import build_model, load_weights

    return load_weights(build_model(arch), path, weights_from).eval()


def read_initial_weights(path: Path, arch: Architecture, weights_from: str) -> Mapping[str, Any]:
    """Return a state dict to train from; a classifier of another size is left out."""
    from gnv2_nas.nn import read_weights

    return read_weights(path, arch, weights_from, any_classes=True)


def extract_from_supernet(
    path: Path, arch: Architecture, dataset: Dataset, events: Events
) -> Mapping[str, Any]:
    """Return the state dict of `arch` inside a supernet, and report its held-out accuracy."""
    from gnv2_nas.quality import QualityContext
    from gnv2_nas.quality.accuracy.supernet import SupernetAccuracy, describe_leakage

    supernet = SupernetAccuracy(path, QualityContext(dataset=dataset))
    if seen := describe_leakage(supernet.record, dataset):
        events(Message(f"warning: the supernet is judged on held-out images, {seen}"))
    accuracy = supernet.score(arch)
    events(Message(f"accuracy with the supernet's weights: {accuracy:.1f}% of held-out images"))
    state: dict[str, Any] = supernet.extract(arch).state_dict()
    return state


def find_networks(names: Sequence[str], storage: str) -> dict[str, TimedNetwork]:
    """Return the networks by label; files of other tools are read, too.

    A network named twice gets two labels and is measured twice: the difference between the two
    measurements shows the noise.
    """
    known = (*KNOWN, *(f"FILE{suffix}" for suffix in SUFFIXES))
    found: dict[str, TimedNetwork] = {}
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        label = f"{name} ({seen[name]})" if seen[name] > 1 else name
        if is_foreign(name):
            found[label] = read_foreign(name)
        else:
            found[label] = find_network(name, storage, known)
    return found

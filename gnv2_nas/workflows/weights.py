"""Weights for a network: from a checkpoint, or out of a supernet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.checkpoint import check_checkpoint
from gnv2_nas.checkpoints.state_dicts import AVERAGE
from gnv2_nas.workflows.events import Events, Message, ignore

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset
    from gnv2_nas.nn import Network


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

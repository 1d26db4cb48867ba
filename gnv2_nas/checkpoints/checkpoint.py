"""Whether a checkpoint file fits a network, checked before values are read.

Nothing here imports torch, so a wrong file is refused at once.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gnv2_nas.arch import Architecture, Preprocessing
from gnv2_nas.checkpoints.contents import Contents, read_contents, safetensors_contents
from gnv2_nas.checkpoints.metadata import TrainingRecord, check_classes, parse_metadata
from gnv2_nas.checkpoints.state_dicts import AVERAGE, StateDict, choose, find_state_dicts
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.compatibility import (
    check_architecture,
    check_tensors,
    count_classes,
    describe_differences,
    expected_shapes,
    optional_shapes,
    tensor_infos,
)
from gnv2_nas.graph.lower import lower


class FoundWeights(msgspec.Struct, frozen=True):
    """The weights of a network in a checkpoint."""

    arch: Architecture
    """The network that the weights belong to."""
    tensors: Mapping[str, Any]
    """State dict key → tensor, for exactly the keys of the network."""
    note: str = ""
    """Which dict of the checkpoint was chosen; "" if there is only one."""


def find_weights(
    loaded: Any,
    arch: Architecture,
    source: str,
    wanted: str = AVERAGE,
    *,
    any_classes: bool = False,
) -> FoundWeights:
    """The dict of tensors that fits `arch`.

    Depthwise kernels may be larger where the architecture's are clipped (see
    `compatibility.clipped_axes`). Counters are omitted.

    Args:
        loaded: the content of a checkpoint, with tensors as `TensorInfo` or torch tensors.
        arch: the network.
        source: name of the checkpoint for the message.
        wanted: see `state_dicts.choose`.
        any_classes: whether the weights may have another number of classes than `arch`.

    Raises:
        CheckpointError: no dict fits, and the message lists all differences; or several fit.
    """
    graph = lower(arch)
    expected, optional = expected_shapes(graph), optional_shapes(graph)
    try:
        states = find_state_dicts(loaded, expected)
    except CheckpointError as error:
        raise CheckpointError(f"{source} {error}") from None
    fitting: list[tuple[StateDict, Architecture]] = []
    problems: list[str] = []
    for state in states:
        infos = tensor_infos(state.tensors)
        classes, problem = count_classes(infos), describe_differences(graph, infos)
        if not problem:
            fitting.append((state, arch))
        elif 0 < classes != arch.num_classes:
            own = arch.replace(num_classes=classes)
            if not describe_differences(lower(own), infos):
                if any_classes:
                    fitting.append((state, own))
                problem = (
                    f"it is for {classes} classes, the network for {arch.num_classes}; "
                    f"use the network with arch.replace(num_classes={classes})"
                )
        problems.append(problem)
    if not fitting:
        raise CheckpointError(f"{source} does not fit the network: {problems[0]}")
    try:
        choice = choose([state for state, _ in fitting], wanted)
    except CheckpointError as error:
        raise CheckpointError(f"{source} {error}") from None
    own = next(own for state, own in fitting if state is choice.state)
    known = expected | optional
    tensors = {key: value for key, value in choice.state.tensors.items() if key in known}
    return FoundWeights(own, tensors, choice.note)


def check_checkpoint(
    path: Path, arch: Architecture, wanted: str = AVERAGE, *, any_classes: bool = False
) -> FoundWeights:
    """The weights in a checkpoint file that fit `arch`, without their values.

    Args:
        path: the file.
        arch: the network.
        wanted: "average" or "raw" if the file has both, or the name of one of its dicts.
        any_classes: whether the weights may have another number of classes than `arch`.

    Raises:
        CheckpointError: the file is missing, no checkpoint, damaged, contains code or does not
            fit; the message lists all differences.
    """
    contents, source = read_contents(path), repr(str(path))
    if contents.supernet:
        raise CheckpointError(
            f"{source} is a supernet, not the weights of one network; take a network out of it "
            "with gnv2-nas train NETWORK --from-supernet FILE"
        )
    metadata = parse_metadata(contents, source)
    found = find_weights(contents.loaded, arch, source, wanted, any_classes=any_classes)
    if metadata.architecture is not None:
        check_architecture(metadata.architecture, found.arch, source)
    if metadata.preprocessing is not None:
        check_classes(metadata.preprocessing.classes, found.arch.num_classes, source)
    return found


def read_architecture(path: Path) -> Architecture:
    """The architecture in the metadata of a checkpoint file.

    Raises:
        CheckpointError: see `read_contents`; or the file does not name its network.
    """
    contents, source = read_contents(path), repr(str(path))
    if contents.supernet:
        raise CheckpointError(
            f"{source} is a supernet: it holds every network of a space, and none is named"
        )
    return _get_architecture(contents, source)


def read_preprocessing(path: Path) -> Preprocessing | None:
    """The preprocessing in the metadata of a checkpoint file; None if there is none.

    Raises:
        CheckpointError: see `read_contents`; or the metadata is invalid.
    """
    return parse_metadata(read_contents(path), repr(str(path))).preprocessing


def read_training(path: Path) -> TrainingRecord | None:
    """The training record in the metadata of a checkpoint file; None if there is none.

    Raises:
        CheckpointError: see `read_contents`; or the metadata is invalid.
    """
    return parse_metadata(read_contents(path), repr(str(path))).training


def parse_architecture(content: bytes, source: str) -> Architecture:
    """The architecture of a safetensors file in memory.

    Raises:
        CheckpointError: another kind of file, a damaged one, or tensors of another network.
    """
    try:
        if content[8:9] != b"{":
            raise CheckpointError("is no safetensors file")
        contents = safetensors_contents(io.BytesIO(content), len(content))
    except CheckpointError as error:
        raise CheckpointError(f"{source} {error}") from None
    arch = _get_architecture(contents, source)
    check_tensors(lower(arch), contents.loaded, source)
    return arch


def _get_architecture(contents: Contents, source: str) -> Architecture:
    arch = parse_metadata(contents, source).architecture
    if arch is None:
        raise CheckpointError(f"{source} does not say which network it is of")
    return arch

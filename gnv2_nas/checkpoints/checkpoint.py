"""Checkpoint files before their values are read: which network they hold, and whether it fits.

All of it without torch, so that a wrong file is refused at once.
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
    """The weights of a network, found in a checkpoint."""

    arch: Architecture
    """The network they are of."""
    tensors: Mapping[str, Any]
    """Every key of its state dict and no other."""
    note: str = ""
    """Which of the dicts in the checkpoint they are; "" where there is nothing to say."""


def find_weights(
    loaded: Any,
    arch: Architecture,
    source: str,
    wanted: str = AVERAGE,
    *,
    any_classes: bool = False,
) -> FoundWeights:
    """The one dict of tensors in what a checkpoint held that fits `arch`.

    Depthwise kernels may be larger where the architecture clipped its own (see
    `compatibility.clipped_axes`); what only counts something is left out.

    Args:
        loaded: a mapping, tensors in it as `TensorInfo` or torch's own.
        arch: the network.
        source: where it comes from, for the message.
        wanted: see `state_dicts.choose`.
        any_classes: take `arch` for as many classes as the weights have.

    Raises:
        CheckpointError: none fits, every difference is named; or more than one does.
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
    """The weights in a checkpoint file that fit `arch`, by shape and place alone.

    Args:
        path: of the file.
        arch: the network.
        wanted: "average" or "raw", where the file has both; or the name of one of its dicts.
        any_classes: take `arch` for as many classes as the weights have.

    Raises:
        CheckpointError: no such file, not a checkpoint, damaged, holds code, or does not fit;
            one line that names everything that does not fit.
    """
    contents, source = read_contents(path), repr(str(path))
    if contents.supernet:
        raise CheckpointError(
            f"{source} is a supernet, not the weights of one network; take a network out of it "
            "with gnv2-nas train NETWORK --from-supernet FILE"
        )
    said = parse_metadata(contents, source)
    fitting = find_weights(contents.loaded, arch, source, wanted, any_classes=any_classes)
    if said.architecture is not None:
        check_architecture(said.architecture, fitting.arch, source)
    if said.preprocessing is not None:
        check_classes(said.preprocessing.classes, fitting.arch.num_classes, source)
    return fitting


def read_architecture(path: Path) -> Architecture:
    """The network that a checkpoint file of our own is of.

    Raises:
        CheckpointError: see `read_contents`; or the file does not say which network it is of.
    """
    contents, source = read_contents(path), repr(str(path))
    if contents.supernet:
        raise CheckpointError(
            f"{source} is a supernet: it holds every network of a space, and none is named"
        )
    return _named(contents, source)


def read_preprocessing(path: Path) -> Preprocessing | None:
    """How an image becomes the input of the weights in a file; None where it does not say.

    Raises:
        CheckpointError: see `read_contents`; or what it says of itself is wrong.
    """
    return parse_metadata(read_contents(path), repr(str(path))).preprocessing


def read_training(path: Path) -> TrainingRecord | None:
    """How the weights in a file came about; None where it does not say.

    Raises:
        CheckpointError: see `read_contents`; or what it says of itself is wrong.
    """
    return parse_metadata(read_contents(path), repr(str(path))).training


def architecture_of(content: bytes, source: str) -> Architecture:
    """The network that one of our own safetensors files, whole in memory, says it is of.

    Raises:
        CheckpointError: it is another kind of file, damaged, or does not fit its network.
    """
    try:
        if content[8:9] != b"{":
            raise CheckpointError("is no safetensors file")
        contents = safetensors_contents(io.BytesIO(content), len(content))
    except CheckpointError as error:
        raise CheckpointError(f"{source} {error}") from None
    arch = _named(contents, source)
    check_tensors(lower(arch), contents.loaded, source)
    return arch


def _named(contents: Contents, source: str) -> Architecture:
    arch = parse_metadata(contents, source).architecture
    if arch is None:
        raise CheckpointError(f"{source} does not say which network it is of")
    return arch

"""Checkpoint files before their values are read: which network they are of, and whether it fits.

All of it without torch, so that a wrong file is refused at once.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gnv2_nas.arch import Architecture, Preprocessing
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.checkpoint_contents import Contents, read_contents, safetensors_contents
from gnv2_nas.graph.fit import check_architecture, check_tensors
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.training_record import TrainingRecord

T = TypeVar("T")


def check_checkpoint(path: Path, arch: Architecture) -> Contents:
    """The contents of a checkpoint file that fits `arch`.

    Raises:
        CheckpointError: no such file, not a checkpoint, damaged, holds code, or does not fit;
            one line that names everything that does not fit.
    """
    contents = read_contents(path)
    source = repr(str(path))
    if contents.supernet:
        raise CheckpointError(
            f"{source} is a supernet, not the weights of one network; take a network out of it "
            "with gnv2-nas train NETWORK --from-supernet FILE"
        )
    if contents.architecture:
        check_architecture(_parsed(contents.architecture, source), arch, source)
    check_tensors(lower(arch), contents.tensors, source)
    return contents


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
    if not contents.architecture:
        raise CheckpointError(f"{source} does not say which network it is of")
    return _parsed(contents.architecture, source)


def read_preprocessing(path: Path) -> Preprocessing | None:
    """How an image becomes the input of the weights in a file; None where it does not say.

    Raises:
        CheckpointError: see `read_contents`; or what it says cannot be read.
    """
    text = read_contents(path).preprocessing
    return _from_metadata(Preprocessing.from_json, text, path) if text else None


def read_training(path: Path) -> TrainingRecord | None:
    """How the weights in a file came about; None where it does not say.

    Raises:
        CheckpointError: see `read_contents`; or what it says cannot be read.
    """
    text = read_contents(path).training
    return _from_metadata(TrainingRecord.from_json, text, path) if text else None


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
    if not contents.architecture:
        raise CheckpointError(f"{source} does not say which network it is of")
    arch = _parsed(contents.architecture, source)
    check_tensors(lower(arch), contents.tensors, source)
    return arch


def _parsed(text: str, source: str | Path) -> Architecture:
    return _from_metadata(Architecture.from_json, text, source)


def _from_metadata(read: Callable[[str], T], text: str, source: str | Path) -> T:
    try:
        return read(text)
    except Exception as error:
        raise CheckpointError(f"{source}: its metadata holds {error}") from None

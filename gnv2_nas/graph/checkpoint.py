"""Checkpoint files before their values are read: which network they are of, and whether it fits.

All of it without torch, so that a wrong file is refused at once.
"""

from __future__ import annotations

import io
from pathlib import Path

from gnv2_nas.arch import Architecture, Preprocessing
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.checkpoint_contents import Contents, read_contents, safetensors_contents
from gnv2_nas.graph.file_metadata import check_classes, checked_metadata
from gnv2_nas.graph.fit import Fitting, check_architecture, check_tensors, fitting_weights
from gnv2_nas.graph.lower import lower
from gnv2_nas.graph.state_dicts import AVERAGE
from gnv2_nas.graph.training_record import TrainingRecord


def check_checkpoint(
    path: Path, arch: Architecture, wanted: str = AVERAGE, *, any_classes: bool = False
) -> Fitting:
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
    said = checked_metadata(contents, source)
    fitting = fitting_weights(contents.loaded, arch, source, wanted, any_classes=any_classes)
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
    return checked_metadata(read_contents(path), repr(str(path))).preprocessing


def read_training(path: Path) -> TrainingRecord | None:
    """How the weights in a file came about; None where it does not say.

    Raises:
        CheckpointError: see `read_contents`; or what it says of itself is wrong.
    """
    return checked_metadata(read_contents(path), repr(str(path))).training


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
    arch = checked_metadata(contents, source).architecture
    if arch is None:
        raise CheckpointError(f"{source} does not say which network it is of")
    return arch

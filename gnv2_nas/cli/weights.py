"""Loading a checkpoint for a command, and refusing a wrong one before torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gnv2_nas.arch import Architecture
from gnv2_nas.checkpoints.checkpoint import check_checkpoint
from gnv2_nas.checkpoints.state_dicts import AVERAGE, RAW
from gnv2_nas.cli.any_case import any_case
from gnv2_nas.cli.console import say

if TYPE_CHECKING:
    from gnv2_nas.nn import Network

WeightsFrom = Annotated[
    str,
    typer.Option(
        help="Where a checkpoint holds weights and an average of them (EMA): average or raw; or "
        "the name of one of its dicts.",
        callback=any_case(lambda: (AVERAGE, RAW)),
    ),
]


def weighed(arch: Architecture, path: Path, weights_from: str = AVERAGE) -> Architecture:
    """`arch` with as many classes as the weights in a checkpoint that fits it; says which are read.

    Raises:
        CheckpointError: the file does not fit, or is not safe to load.
    """
    found = check_checkpoint(path, arch, weights_from, any_classes=True)
    if found.note:
        say(f"weights: of {path.name} {found.note}")
    if found.arch != arch:
        say(
            f"weights: they are for {found.arch.num_classes} classes, and so is the network; "
            f"as named it has {arch.num_classes}"
        )
    return found.arch


def trained(arch: Architecture, path: Path, weights_from: str = AVERAGE) -> Network:
    """The module of `arch` with the weights of a checkpoint.

    Raises:
        CheckpointError: the file does not fit, or is not safe to load.
    """
    from gnv2_nas.nn import build_model, load_weights

    return load_weights(build_model(arch), path, weights_from)

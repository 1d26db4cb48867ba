"""Loading a checkpoint for a command, and refusing a wrong one before torch is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gnv2_nas.arch import Architecture
from gnv2_nas.graph.checkpoint import check_checkpoint

if TYPE_CHECKING:
    from gnv2_nas.nn import Network


def trained(arch: Architecture, path: Path) -> Network:
    """The module of `arch` with the weights of a checkpoint.

    Raises:
        CheckpointError: the file does not fit, or is not safe to load.
    """
    check_checkpoint(path, arch)
    from gnv2_nas.nn import build_model, load_weights

    return load_weights(build_model(arch), path)

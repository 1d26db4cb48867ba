"""Files that belong to one search space: supernets and predictors. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from gnv2_nas.arch import Envelope
from gnv2_nas.errors import CheckpointError
from gnv2_nas.space import SearchSpace

_ANOTHER = {
    "supernet": "train one on them with gnv2-nas train supernet",
    "predictor": "fit one to them with gnv2-nas quality fit",
}


class MadeForSpace(Protocol):
    """What such a file says of itself."""

    @property
    def space(self) -> str: ...
    @property
    def space_hash(self) -> str: ...
    @property
    def envelope(self) -> Envelope: ...


def check_made_for(path: Path, kind: str, made: MadeForSpace, space: SearchSpace | None) -> None:
    """Prove that a file belongs to the space of a search, and to its number of classes.

    Args:
        kind: "supernet" or "predictor".
        space: with as many classes as the images; None where no search is on.

    Raises:
        CheckpointError: it belongs to another space, or to other classes.
    """
    if space is None or made.space_hash == space.content_hash:
        return
    classes = made.envelope.num_classes
    what = f"{str(path)!r} is a {kind} of space {made.space!r} with {classes} classes"
    if classes != space.num_classes:
        raise CheckpointError(
            f"{what}: one for {classes} classes, but space {space.name!r} has "
            f"{space.num_classes} with these images; {_ANOTHER[kind]}"
        )
    raise CheckpointError(
        f"{what} ({made.space_hash}), not of {space.name!r} ({space.content_hash}); "
        f"{_ANOTHER[kind].replace('them', 'it')}"
    )

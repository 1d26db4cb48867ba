"""`SupernetRecord`: what a supernet's file says of itself, read without torch."""

from __future__ import annotations

from pathlib import Path

import msgspec

from gnv2_nas.arch import Envelope, Preprocessing
from gnv2_nas.errors import CheckpointError
from gnv2_nas.graph.checkpoint_contents import read_contents


class SupernetRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which networks a supernet holds, and how its weights came about."""

    space: str
    """Name of the search space."""
    space_hash: str
    """`SearchSpace.content_hash`."""
    envelope: Envelope
    preprocessing: Preprocessing
    data: str
    """Name of the images it was trained on."""
    data_hash: str
    steps: int
    seconds: float
    """Of training."""
    largest_accuracy: float
    """Held-out accuracy of the largest network, 0..1."""
    smallest_accuracy: float

    def to_json(self) -> str:
        """JSON: fields in declaration order, no white space."""
        return msgspec.json.encode(self).decode()


def read_record(path: Path) -> SupernetRecord:
    """What the supernet in a file says of itself; no weight is read.

    Raises:
        CheckpointError: no such file, damaged, or no supernet.
    """
    contents, source = read_contents(path), repr(str(path))
    if not contents.supernet:
        found = "the weights of one network" if contents.architecture else "no supernet's file"
        raise CheckpointError(
            f"{source} is {found}; a supernet is needed: gnv2-nas train supernet writes one"
        )
    try:
        return msgspec.json.decode(contents.supernet, type=SupernetRecord)
    except Exception as error:
        # Whatever its parts make of a damaged record, the answer is one line.
        raise CheckpointError(f"{source}: its record cannot be read: {error}") from None

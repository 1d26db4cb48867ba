"""`SupernetRecord`: what a supernet's file says of itself, read without torch."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gnv2_nas.arch import Envelope, Preprocessing
from gnv2_nas.graph.training_record import Count, Digest, Text

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class SupernetRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which networks a supernet holds, and how its weights came about."""

    space: Text
    """Name of the search space."""
    space_hash: Digest
    """`SearchSpace.content_hash`."""
    envelope: Envelope
    preprocessing: Preprocessing
    data: Text
    """Name of the images it was trained on."""
    data_hash: Digest
    steps: Count
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e12)]
    """Of training."""
    largest_accuracy: Share
    """Held-out accuracy of the largest network, 0..1."""
    smallest_accuracy: Share

    def to_json(self) -> str:
        """JSON: fields in declaration order, no white space."""
        return msgspec.json.encode(self).decode()

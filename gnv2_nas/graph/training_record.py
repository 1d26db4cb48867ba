"""What weights say about how they came about: kept in their file, read without torch."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from gnv2_nas.errors import CheckpointError

Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 40)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8,64}\Z")]


class TrainingRecord(msgspec.Struct, frozen=True):
    """The training that a network's weights went through, and what came of it.

    Raises:
        CheckpointError: there are more right answers than images.
    """

    data: Text
    """Name of the data set."""
    data_hash: Digest
    """Of its images, labels and split."""
    train_images: Count
    held_out_images: Count
    correct: Annotated[int, msgspec.Meta(ge=0)]
    """Held-out images that the network classified right."""
    epochs: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    seed: Annotated[int, msgspec.Meta(ge=0)]

    def __post_init__(self) -> None:
        if self.correct > self.held_out_images:
            raise CheckpointError(
                f"{self.correct} right answers on {self.held_out_images} held-out images; "
                "there can be no more than images"
            )
        if not math.isfinite(self.epochs):
            raise CheckpointError(f"{self.epochs} epochs; a number is needed")

    @property
    def accuracy(self) -> float:
        """Share of the held-out images, 0 to 1."""
        return self.correct / self.held_out_images

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> TrainingRecord:
        """The inverse of `to_json`.

        Raises:
            msgspec.MsgspecError: not JSON, a field is missing or of a wrong type or size.
            CheckpointError: the fields do not go together.
        """
        return msgspec.json.decode(text, type=cls)

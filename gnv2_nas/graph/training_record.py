"""What weights say about how they came about: kept in their file, read without torch."""

from __future__ import annotations

import msgspec


class TrainingRecord(msgspec.Struct, frozen=True):
    """The training that a network's weights went through, and what came of it."""

    data: str
    """Name of the data set."""
    data_hash: str
    """Of its images, labels and split."""
    train_images: int
    held_out_images: int
    correct: int
    """Held-out images that the network classified right."""
    epochs: float
    seed: int

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
            msgspec.MsgspecError: not JSON, a field is missing or of a wrong type.
        """
        return msgspec.json.decode(text, type=cls)

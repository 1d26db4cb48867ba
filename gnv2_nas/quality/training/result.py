"""What comes out of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from gnv2_nas.quality.training.history import TrainingPoint

Model = TypeVar("Model", covariant=True)


@dataclass(frozen=True)
class TrainingResult(Generic[Model]):
    """A trained network, or a supernet."""

    model: Model
    """With the averaged weights, in evaluation mode."""
    accuracy: float
    """Top-1 on the held-out images, 0..1; of a supernet's largest network."""
    history: tuple[TrainingPoint, ...]
    """The points at which the held-out images were looked at, and those with a note."""
    seconds: float
    """Of all runs of this training together."""
    smallest_accuracy: float | None = None
    """Of a supernet's smallest network."""

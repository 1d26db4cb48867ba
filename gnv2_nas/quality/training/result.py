"""What comes out of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

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


FilesBeside: TypeAlias = "Callable[[TrainingResult[Any]], Mapping[Path, bytes | str]]"
"""What a caller wants written together with the weights, as a page of the curve: path → content,
in the same folder."""


def nothing_beside(_: TrainingResult[Any]) -> Mapping[Path, bytes | str]:
    """`FilesBeside` of no files."""
    return {}

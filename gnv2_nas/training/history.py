"""Learning curve of a training as plain data, its file, and the result. Light to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from gnv2_nas.errors import InputError
from gnv2_nas.files.outputs import Kind, holds_fields


class TrainingPoint(msgspec.Struct, frozen=True):
    """Progress of a training after one step."""

    step: int
    """Number of finished updates."""
    steps: int
    """Number of updates of the whole training."""
    epoch: float
    """Number of passes over the training images so far."""
    loss: float
    """Training loss, a moving average; of a supernet: its largest network."""
    accuracy: float | None
    """Top-1 on the held-out images, 0..1; None between two evaluations."""
    learning_rate: float
    seconds: float
    """Time spent so far, earlier runs of the same training included."""
    seconds_left: float | None
    """Estimated time left; None before the first steps are timed."""
    smallest_accuracy: float | None = None
    """Top-1 of a supernet's smallest network; `accuracy` is that of the largest."""
    note: str = ""
    """Message for the user, for example that memory ran out."""


Observer = Callable[[TrainingPoint], None]


def ignore_point(point: TrainingPoint) -> None:
    """The `Observer` that does nothing."""


def history_path(output: Path) -> Path:
    """File of the learning curve beside the weights."""
    return output.with_name(output.name + ".history.json")


def state_path(output: Path) -> Path:
    """File of an unfinished training's state beside the weights."""
    return output.with_name(output.name + ".resume")


HISTORY = Kind(
    "the curve of the training", lambda path: holds_fields(path, "step", "loss", "learning_rate")
)


def encode_history(history: Sequence[TrainingPoint]) -> bytes:
    """Encode points as a JSON list."""
    return msgspec.json.encode(list(history))


def decode_history(text: str | bytes) -> list[TrainingPoint]:
    """Decode what `encode_history` wrote.

    Raises:
        InputError: the text is something else.
    """
    try:
        return msgspec.json.decode(text, type=list[TrainingPoint])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"not the history of a training: {error}") from None


Model = TypeVar("Model", covariant=True)


@dataclass(frozen=True)
class TrainingResult(Generic[Model]):
    """A trained network or supernet."""

    model: Model
    """Module with the averaged weights, in evaluation mode, on the CPU."""
    accuracy: float
    """Top-1 on the held-out images, 0..1; of a supernet: its largest network."""
    history: tuple[TrainingPoint, ...]
    """Points that have an accuracy or a note."""
    seconds: float
    """Duration of all runs of this training."""
    smallest_accuracy: float | None = None
    """Top-1 of a supernet's smallest network."""


FilesBeside: TypeAlias = "Callable[[TrainingResult[Any]], Mapping[Path, bytes | str]]"
"""Makes files that are written together with the weights, in the same folder: path → content."""


def no_files_beside(_: TrainingResult[Any]) -> Mapping[Path, bytes | str]:
    """The `FilesBeside` that makes no file."""
    return {}

"""The curve of a training as plain data, its file, and the result; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

from gnv2_nas.errors import InputError
from gnv2_nas.files.outputs import Kind, holds_fields


class TrainingPoint(msgspec.Struct, frozen=True):
    """Where a training stands."""

    step: int
    """Updates done so far."""
    steps: int
    """Updates in all."""
    epoch: float
    """How often every image was seen so far."""
    loss: float
    """On training images, a mean over the last steps; of a supernet's largest network."""
    accuracy: float | None
    """Top-1 on the held-out images, 0..1; None where they were not looked at."""
    learning_rate: float
    seconds: float
    """Spent so far, in earlier runs of the same training too."""
    seconds_left: float | None
    """An estimate; None before the first steps are timed."""
    smallest_accuracy: float | None = None
    """Of a supernet's smallest network, where `accuracy` is that of the largest."""
    note: str = ""
    """Something to tell the user: memory ran out, the training goes on from a file …"""


Observer = Callable[[TrainingPoint], None]


def ignore_point(point: TrainingPoint) -> None:
    """An `Observer` that looks away."""


def history_path(output: Path) -> Path:
    """The file of the curve beside the weights."""
    return output.with_name(output.name + ".history.json")


def state_path(output: Path) -> Path:
    """The file of an unfinished training's state beside the weights."""
    return output.with_name(output.name + ".resume")


HISTORY = Kind(
    "the curve of the training", lambda path: holds_fields(path, "step", "loss", "learning_rate")
)


def encode_history(history: Sequence[TrainingPoint]) -> bytes:
    """A JSON list of points."""
    return msgspec.json.encode(list(history))


def decode_history(text: str | bytes) -> list[TrainingPoint]:
    """The inverse of `encode_history`.

    Raises:
        InputError: it is something else.
    """
    try:
        return msgspec.json.decode(text, type=list[TrainingPoint])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InputError(f"not the history of a training: {error}") from None


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


def no_files_beside(_: TrainingResult[Any]) -> Mapping[Path, bytes | str]:
    """`FilesBeside` of no files."""
    return {}

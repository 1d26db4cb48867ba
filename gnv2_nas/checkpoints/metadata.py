"""The metadata of checkpoint files that this package writes, checked field by field.

`TrainingRecord` describes the training of a network, `SupernetRecord` a supernet. Both are read
without torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from itertools import pairwise
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from gnv2_nas.arch import Architecture, Preprocessing, SupernetSpec
from gnv2_nas.checkpoints.contents import Contents, read_contents
from gnv2_nas.errors import CheckpointError

Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 40)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8,64}\Z")]


class TrainingRecord(msgspec.Struct, frozen=True):
    """How a network was trained, and its accuracy.

    Raises:
        CheckpointError: there are more correct answers than images.
    """

    data: Text
    """Name of the data set."""
    data_hash: Digest
    """Hash of its images, labels and split."""
    train_images: Count
    held_out_images: Count
    correct: Annotated[int, msgspec.Meta(ge=0)]
    """Number of held-out images that the network classifies correctly."""
    epochs: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    seed: Annotated[int, msgspec.Meta(ge=0)]
    source: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    """Folder of the images as it was given, for the machine that trained; "" in older files and in
    deployed ones."""

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
        """Held-out accuracy in 0..1."""
        return self.correct / self.held_out_images

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str) -> TrainingRecord:
        """The inverse of `to_json`.

        Raises:
            msgspec.MsgspecError: invalid JSON, or a field is missing or has a wrong type or size.
            CheckpointError: the fields contradict each other.
        """
        return msgspec.json.decode(text, type=cls)


Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class SupernetRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The networks of a supernet, and how it was trained."""

    space: Text
    """Name of the search space."""
    space_hash: Digest
    """`SearchSpace.content_hash`."""
    supernet_spec: SupernetSpec = msgspec.field(name="envelope")
    preprocessing: Preprocessing
    data: Text
    """Name of the training data set."""
    data_hash: Digest
    steps: Count
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e12)]
    """Training time."""
    largest_accuracy: Share
    """Held-out accuracy of the largest network in 0..1."""
    smallest_accuracy: Share
    """Held-out accuracy of the smallest network in 0..1."""

    def to_json(self) -> str:
        """JSON: fields in declaration order, no white space."""
        return msgspec.json.encode(self).decode()


_MAX_MESSAGE = 300
"""Characters of a message about a field."""

T = TypeVar("T")


class Metadata(msgspec.Struct, frozen=True):
    """The metadata of a file; None for what it does not contain."""

    architecture: Architecture | None
    preprocessing: Preprocessing | None
    training: TrainingRecord | None
    supernet: SupernetRecord | None


def parse_metadata(contents: Contents, source: str) -> Metadata:
    """Parse and check the metadata of a file.

    Raises:
        CheckpointError: a field is missing, has a wrong type, is out of range or contradicts
            another field.
    """
    found = Metadata(
        _parse(Architecture.from_json, "architecture", contents.architecture, source),
        _parse(_preprocessing, "preprocessing", contents.preprocessing, source),
        _parse(TrainingRecord.from_json, "training", contents.training, source),
        _parse(_supernet, "supernet", contents.supernet, source),
    )
    if found.architecture is not None and found.preprocessing is not None:
        check_classes(found.preprocessing.classes, found.architecture.num_classes, source)
    return found


def check_classes(names: Collection[str], count: int, source: str) -> None:
    """Check that there is one class name per output.

    Raises:
        CheckpointError: the numbers differ.
    """
    if len(names) != count:
        raise CheckpointError(
            f"{source}: its metadata names {len(names)} classes, but its network has {count}"
        )


def _parse(read: Callable[[str], T], key: str, text: str, source: str) -> T | None:
    if not text:
        return None
    try:
        return read(text)
    except Exception as error:
        # Decoders raise errors of many types on damaged records.
        reason = " ".join(str(error).split()) or type(error).__name__
        if not reason.startswith("not a"):
            reason = f"{key}: {reason}"
        raise CheckpointError(f"{source}: its metadata holds {reason[:_MAX_MESSAGE]}") from None


def _preprocessing(text: str) -> Preprocessing:
    preprocessing = Preprocessing.from_json(text)
    _check_preprocessing(preprocessing)
    return preprocessing


def _supernet(text: str) -> SupernetRecord:
    record = msgspec.json.decode(text, type=SupernetRecord)
    _check_preprocessing(record.preprocessing)
    _check_supernet_spec(record.supernet_spec)
    names = len(record.preprocessing.classes)
    _require(
        names == record.supernet_spec.num_classes,
        f"{names} names of classes for {record.supernet_spec.num_classes}",
    )
    return record


def _check_preprocessing(preprocessing: Preprocessing) -> None:
    classes = preprocessing.classes
    _require(all(0 <= mean <= 1 for mean in preprocessing.mean), "a mean outside of 0 to 1")
    _require(all(0 < std <= 1 for std in preprocessing.std), "a std outside of 0 to 1")
    _require(len(classes) > 0, "no names of classes")
    _require(all(name.strip() for name in classes), "a class without a name")
    _require(len(set(classes)) == len(classes), "the name of a class twice")


def _check_supernet_spec(spec: SupernetSpec) -> None:
    for stage in spec.positions_by_depth:
        for depth, positions in stage.items():
            ordered = all(one < other for one, other in pairwise(positions))
            known = all(position < len(spec.blocks) for position in positions)
            _require(ordered and known and len(positions) == depth, "a stage of unknown blocks")
    modules = (module for block in spec.blocks for module in (block.ghost1, block.ghost2))
    _require(
        all(module.merges != () and (not module.adds or 2 in module.ratios) for module in modules),
        "a Ghost module of no kind",
    )
    # This raises an error if the positions do not fit together.
    spec.input_groups()


def _require(right: bool, otherwise: str) -> None:
    if not right:
        raise CheckpointError(otherwise)


def read_supernet_record(path: Path) -> SupernetRecord:
    """The record in a supernet file; no weights are read.

    Raises:
        CheckpointError: the file is missing, damaged or not a supernet.
    """
    contents, source = read_contents(path), repr(str(path))
    if not contents.supernet:
        found = "the weights of one network" if contents.architecture else "no supernet's file"
        raise CheckpointError(
            f"{source} is {found}; a supernet is needed: gnv2-nas train supernet writes one"
        )
    record = parse_metadata(contents, source).supernet
    assert record is not None  # noqa: S101 - the text is there
    return record

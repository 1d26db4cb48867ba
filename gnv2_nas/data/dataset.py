"""Data sets: labelled images, split into a training part and a held-out part."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data.augmentation import Augmentation
from gnv2_nas.data.image_store import decode_files
from gnv2_nas.data.report import ClassCount, DataReport
from gnv2_nas.errors import DataError


class LabelledImage(NamedTuple):
    """A usable image."""

    row: int
    """Number of the image among all that were read."""
    name: str
    label: int
    digest: str
    """Hash of the picture."""
    file_digest: str = ""
    """Hash of the file; "" if there is none."""

    @property
    def content(self) -> str:
        """Hash that decides the split.

        That of the file, not of the picture: it does not depend on the decoder, and it splits
        folders as earlier versions did.
        """
        return self.file_digest or self.digest


class Sides(NamedTuple):
    """Both sides of a split, each in the order in which the images were read."""

    train: list[LabelledImage]
    val: list[LabelledImage]

    def counts(self, classes: Sequence[str]) -> tuple[ClassCount, ...]:
        """Count the images of each class.

        Raises:
            DataError: a class has no image on one side.
        """
        train, val = (Counter(image.label for image in side) for side in self)
        for label, name in enumerate(classes):
            if not (train[label] and val[label]):
                side = "held-out" if train[label] else "training"
                raise DataError(
                    f"class {name!r} has no usable {side} image; each side needs at least "
                    "1: add images or move the class away"
                )
        return tuple(
            ClassCount(name, train[label], val[label]) for label, name in enumerate(classes)
        )

    def content_hash(self, classes: Sequence[str]) -> str:
        """Hash contents, classes and sides to 12 hexadecimal digits.

        Names of files and the stored size do not count.
        """
        lines = [
            f"{side} {classes[image.label]} {image.content}\n"
            for side, images in zip(self._fields, self, strict=True)
            for image in images
        ]
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()[:12]


def split_stratified(
    images: Sequence[LabelledImage], classes: Sequence[str], *, held_out: float, seed: int
) -> Sides:
    """Hold out about a share `held_out` of every class; each side gets at least one image.

    Raises:
        DataError: a share outside 0..1, or a class with fewer than two different images.
    """
    if not 0 < held_out < 1:
        raise DataError(f"`0 < held_out < 1` must hold, but got {held_out}; try 0.2")
    groups: dict[int, dict[str, list[LabelledImage]]] = defaultdict(lambda: defaultdict(list))
    for image in images:
        groups[image.label][image.digest].append(image)
    chosen: set[int] = set()
    for label, name in enumerate(classes):
        if len(groups[label]) < 2:
            raise DataError(
                f"class {name!r} has {len(groups[label])} different usable images; at least 2 "
                "are needed, one to train on and one held out"
            )
        chosen |= _choose_held_out(list(groups[label].values()), held_out, seed)
    return Sides(
        [image for image in images if image.row not in chosen],
        [image for image in images if image.row in chosen],
    )


def _choose_held_out(groups: Sequence[list[LabelledImage]], held_out: float, seed: int) -> set[int]:
    """Choose rows of one class; equal images stay together, and neither side is empty."""

    def order(group: list[LabelledImage]) -> bytes:
        content = min(image.content for image in group)
        return hashlib.sha256(f"{seed} {content}".encode()).digest()

    wanted = held_out * sum(map(len, groups))
    chosen: set[int] = set()
    for group in sorted(groups, key=order)[:-1]:
        if chosen and len(chosen) + len(group) / 2 > wanted:
            break
        chosen.update(image.row for image in group)
    return chosen


_STATISTICS_IMAGES = 2048
"""Images that the colour statistics are measured on."""
_MIN_STD = 1 / 255


class Split(Protocol):
    """Labelled square images, S pixels wide."""

    @property
    def labels(self) -> Tensor:
        """Class numbers, int64, shape (N,), on the CPU."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """Names of the images in messages."""
        ...

    def __len__(self) -> int: ...

    def images(self, indices: Tensor) -> Tensor:
        """Return images: RGB, uint8, shape (B, 3, S, S), on the CPU.

        Args:
            indices: int64, shape (B,), in 0..N-1; any order, repeats allowed.

        Raises:
            DataError: a file can no longer be read.
        """
        ...


@dataclass(frozen=True)
class Dataset:
    """Images for training and for evaluation."""

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    preprocessing: Preprocessing
    side: int
    """Width of the stored images; `augment` and `preprocess` resize them."""
    content_hash: str
    """12 hexadecimal digits of the images, their classes and their sides of the split."""
    report: DataReport
    augmentation: Augmentation
    """Random changes that suit these images."""
    source: str = ""
    """Where they were read: the folder as it was given, or "digits"."""


@dataclass(frozen=True)
class StoredSplit:
    """A split of decoded images, in memory or in a memory-mapped file."""

    stored: Tensor
    """uint8, shape (M, 3, S, S): the images of all splits."""
    rows: Tensor
    """int64, shape (N,): rows of `stored` that belong to this split."""
    labels: Tensor
    names: Sequence[str]

    @classmethod
    def of(cls, stored: Tensor, images: Sequence[LabelledImage]) -> StoredSplit:
        """Make a split of some of the stored images."""
        rows = torch.tensor([image.row for image in images])
        labels = torch.tensor([image.label for image in images])
        return cls(stored, rows, labels, [image.name for image in images])

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: Tensor) -> Tensor:
        """See `Split`."""
        return self.stored[self.rows[indices]]


@dataclass(frozen=True)
class FileSplit:
    """A split of a large set, whose images are decoded whenever they are used."""

    root: Path
    names: Sequence[str]
    labels: Tensor
    side: int
    workers: int | None

    @classmethod
    def of(
        cls, root: Path, images: Sequence[LabelledImage], side: int, workers: int | None
    ) -> FileSplit:
        """Make a split of some images of a folder."""
        labels = torch.tensor([image.label for image in images])
        return cls(root, [image.name for image in images], labels, side, workers)

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: Tensor) -> Tensor:
        """See `Split`."""
        names = [self.names[index] for index in indices.tolist()]
        pixels = []
        results = decode_files([self.root / name for name in names], self.side, self.workers)
        for name, result in zip(names, results, strict=True):
            if result.pixels is None:
                raise DataError(
                    f"image {name!r} in {str(self.root)!r} can no longer be decoded "
                    f"({result.reason}); do not change the folder while it is in use"
                )
            pixels.append(result.pixels)
        return torch.from_numpy(np.stack(pixels))


def measure_preprocessing(split: Split, classes: tuple[str, ...]) -> Preprocessing:
    """Measure mean and standard deviation of each colour on evenly spaced images of a split."""
    count = min(len(split), _STATISTICS_IMAGES)
    indices = torch.linspace(0, len(split) - 1, count).round().long()
    total = torch.zeros(2, 3, dtype=torch.float64)
    for start in range(0, count, 256):
        values = split.images(indices[start : start + 256]).float() / 255
        total += torch.stack([values.mean((2, 3)).sum(0), values.square().mean((2, 3)).sum(0)])
    mean, square = (total / count).unbind()
    std = (square - mean.square()).clamp(min=0).sqrt().clamp(min=_MIN_STD)
    return Preprocessing(_round(mean), _round(std), classes)


def _round(values: Tensor) -> tuple[float, float, float]:
    red, green, blue = (round(value, 6) for value in values.tolist())
    return red, green, blue

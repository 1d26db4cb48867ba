"""`Dataset`: labelled images, split into training and held-out images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data.augmentation import Augmentation
from gnv2_nas.data.image_store import decode_files
from gnv2_nas.data.report import DataReport
from gnv2_nas.data.splitting import LabelledImage
from gnv2_nas.errors import DataError

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

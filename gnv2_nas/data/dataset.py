"""What a data set is: labelled images for training and held-out ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data.augmentation import Augmentation
from gnv2_nas.data.report import DataReport
from gnv2_nas.data.splitting import LabelledImage

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
        """What to call each image in a message."""
        ...

    def __len__(self) -> int: ...

    def images(self, indices: Tensor) -> Tensor:
        """RGB, uint8, shape (B, 3, S, S), on the CPU.

        Args:
            indices: int64, shape (B,), in 0..N-1; any order, repeats allowed.

        Raises:
            DataError: a file cannot be read any more.
        """
        ...


@dataclass(frozen=True)
class Dataset:
    """Images to learn from and images to be judged on."""

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    preprocessing: Preprocessing
    side: int
    """Pixels of the stored images; `augment` and `preprocess` bring them to a resolution."""
    content_hash: str
    """12 hexadecimal digits: which images, of which class, on which side of the split."""
    report: DataReport
    augmentation: Augmentation
    """Random changes that suit these images."""


@dataclass(frozen=True)
class StoredSplit:
    """A split whose images are decoded, in memory or in a memory-mapped file."""

    stored: Tensor
    """uint8, shape (M, 3, S, S): of all images, this split's and others."""
    rows: Tensor
    """int64, shape (N,): where in `stored` this split's images are."""
    labels: Tensor
    names: Sequence[str]

    @classmethod
    def of(cls, stored: Tensor, images: Sequence[LabelledImage]) -> StoredSplit:
        """The split that these of the stored images make up."""
        rows = torch.tensor([image.row for image in images])
        labels = torch.tensor([image.label for image in images])
        return cls(stored, rows, labels, [image.name for image in images])

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: Tensor) -> Tensor:
        """See `Split`."""
        return self.stored[self.rows[indices]]


def measure_preprocessing(split: Split, classes: tuple[str, ...]) -> Preprocessing:
    """Mean and standard deviation of each colour over evenly spaced images of a split."""
    count = min(len(split), _STATISTICS_IMAGES)
    indices = torch.linspace(0, len(split) - 1, count).round().long()
    total = torch.zeros(2, 3, dtype=torch.float64)
    for start in range(0, count, 256):
        values = split.images(indices[start : start + 256]).float() / 255
        total += torch.stack([values.mean((2, 3)).sum(0), values.square().mean((2, 3)).sum(0)])
    mean, square = (total / count).unbind()
    std = (square - mean.square()).clamp(min=0).sqrt().clamp(min=_MIN_STD)
    return Preprocessing(_rounded(mean), _rounded(std), classes)


def _rounded(values: Tensor) -> tuple[float, float, float]:
    red, green, blue = (round(value, 6) for value in values.tolist())
    return red, green, blue

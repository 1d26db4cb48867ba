"""A split of a set too large to keep decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gnv2_nas.errors import DataError
from gnv2_nas.quality.data.decoded import decode_files
from gnv2_nas.quality.data.splitting import LabelledImage


@dataclass(frozen=True)
class FileSplit:
    """A split whose images are decoded whenever they are asked for."""

    root: Path
    names: Sequence[str]
    labels: Tensor
    side: int
    workers: int | None

    @classmethod
    def of(
        cls, root: Path, images: Sequence[LabelledImage], side: int, workers: int | None
    ) -> FileSplit:
        """The split that these images make up."""
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
                    f"image {name!r} in {str(self.root)!r} could be decoded before and cannot "
                    f"be now ({result.reason}); leave the folder as it is while it is in use"
                )
            pixels.append(result.pixels)
        return torch.from_numpy(np.stack(pixels))

"""Stored images as a network's input, made ready once for each resolution."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data.dataset import Split


def preprocess(images: Tensor, resolution: int, preprocessing: Preprocessing) -> Tensor:
    """Square images at the resolution of a network, normalised.

    Resized as Pillow does it: bilinear, antialiased when shrinking.

    Args:
        images: uint8, shape (B, 3, S, S), on any device.
        resolution: R, pixels.

    Returns:
        float32, shape (B, 3, R, R), on the same device.
    """
    values = images.float()
    side = images.shape[-1]
    if side != resolution:
        size = (resolution, resolution)
        values = F.interpolate(values, size, mode="bilinear", antialias=side > resolution)
    mean, std = (
        torch.tensor(numbers, device=images.device).view(3, 1, 1) * 255
        for numbers in (preprocessing.mean, preprocessing.std)
    )
    return (values - mean).div_(std)


BATCH_SIZE = 128
MAX_CACHED_BYTES = 1 << 30
"""Of ready images that are kept, for all resolutions together; what is beyond is made anew."""


class PreprocessedImages:
    """Some images of a split, as float batches of any resolution.

    Args:
        indices: which images, in this order.
        device: where the batches are.
    """

    def __init__(
        self,
        split: Split,
        indices: Tensor,
        preprocessing: Preprocessing,
        device: torch.device,
        max_bytes: int = MAX_CACHED_BYTES,
    ) -> None:
        self.labels = split.labels[indices]
        self._split = split
        self._preprocessing = preprocessing
        self._device = device
        self._parts = split_evenly(indices)
        self._free = max_bytes
        self._kept: dict[int, list[Tensor]] = {}

    def batches(self, resolution: int) -> Iterator[Tensor]:
        """(B, 3, resolution, resolution), batches of nearly equal size, in order."""
        kept = self._kept.get(resolution)
        if kept is None:
            size = 4 * 3 * resolution**2 * len(self.labels)
            if size > self._free:
                return (self._prepared(part, resolution) for part in self._parts)
            self._free -= size
            kept = [self._prepared(part, resolution) for part in self._parts]
            self._kept[resolution] = kept
        return iter(kept)

    def _prepared(self, part: Tensor, resolution: int) -> Tensor:
        images = self._split.images(part).to(self._device)
        return preprocess(images, resolution, self._preprocessing).contiguous(
            memory_format=torch.channels_last
        )


def split_evenly(indices: Tensor, batch_size: int = BATCH_SIZE) -> list[Tensor]:
    """`indices` in parts of at most `batch_size` that differ by one at most: batches that count
    alike in an average must be alike in size."""
    parts = -(-len(indices) // batch_size)
    return list(torch.tensor_split(indices, parts))


def sample_indices(total: int, wanted: int, seed: int) -> Tensor:
    """`wanted` different numbers below `total`, in random order; all of them if there are fewer."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(total, generator=generator)[:wanted]

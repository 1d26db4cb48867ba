"""Batches for training and for evaluation.

The images of a training step are a function of the seed and the step alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data.dataset import Split
from gnv2_nas.errors import DataError

_READ_AHEAD = 2
"""Batches that a thread reads while earlier ones are computed on."""


class TrainingBatches:
    """An endless sequence of batches, shuffled anew in each epoch.

    Images of an epoch that do not fill a batch are left out of that epoch.

    Args:
        batch_size: images of a step, over all ranks together.
        seed: seed of the order.
        rank: number of this process among those that train together.
        world_size: number of processes; each takes every `world_size`-th image of a batch.

    Raises:
        DataError: fewer images than a batch, or a batch that the processes cannot share equally.
    """

    def __init__(
        self, split: Split, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if not 1 <= batch_size <= len(split):
            raise DataError(
                f"batch_size must be 1 to {len(split)}, the number of training images, but got "
                f"{batch_size}; use a smaller batch or more images"
            )
        if batch_size % world_size:
            raise DataError(
                f"batch_size must be a multiple of the {world_size} processes, but got {batch_size}"
            )
        self.split = split
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.steps_per_epoch = len(split) // batch_size
        self._order = lru_cache(maxsize=2)(self._shuffle)

    def indices(self, step: int) -> Tensor:
        """Image numbers of this rank at `step`: int64, (batch_size / world_size,)."""
        epoch, number = divmod(step, self.steps_per_epoch)
        start = number * self.batch_size
        return self._order(epoch)[start : start + self.batch_size][self.rank :: self.world_size]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (uint8, B x 3 x S x S) and labels (int64, B) of any step, in any order."""
        indices = self.indices(step)
        return self.split.images(indices), self.split.labels[indices]

    def from_step(self, step: int) -> Generator[tuple[Tensor, Tensor], None, None]:
        """Yield `batch(step)`, `batch(step + 1)`, … without end; a thread reads ahead."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        pending: deque[Future[tuple[Tensor, Tensor]]] = deque()
        try:
            while True:
                while len(pending) <= _READ_AHEAD:
                    pending.append(pool.submit(self.batch, step))
                    step += 1
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _shuffle(self, epoch: int) -> Tensor:
        order = np.random.default_rng((self.seed % 2**64, epoch)).permutation(len(self.split))
        return torch.from_numpy(order)


def preprocess(images: Tensor, resolution: int, preprocessing: Preprocessing) -> Tensor:
    """Resize square images to the resolution of a network and normalise them.

    Resizes as Pillow does: bilinear, antialiased when shrinking.

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


def prepare_images(
    split: Split, rows: Sequence[int], resolution: int, preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Return images of a split as a deployed network gets them: (len(rows), 3, R, R).

    Args:
        rows: numbers of the images.
        resolution: R, pixels.

    Raises:
        DataError: a file can no longer be read.
    """
    pixels = split.images(torch.tensor(rows))
    prepared: NDArray[np.float32] = preprocess(pixels, resolution, preprocessing).numpy()
    return prepared


MAX_BATCH_SIZE = 128
MAX_CACHED_BYTES = 1 << 30


class PreprocessedImages:
    """Some images of a split as preprocessed batches of any resolution.

    Args:
        indices: image numbers, in the order of the batches.
        device: device of the batches.
        max_bytes: limit on the memory of cached batches, over all resolutions together.
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
        self._cached: dict[int, list[Tensor]] = {}

    def batches(self, resolution: int) -> Iterator[Tensor]:
        """Yield batches (B, 3, resolution, resolution) of nearly equal size, in order."""
        cached = self._cached.get(resolution)
        if cached is None:
            size = 4 * 3 * resolution**2 * len(self.labels)
            if size > self._free:
                return (self._preprocess(part, resolution) for part in self._parts)
            self._free -= size
            cached = [self._preprocess(part, resolution) for part in self._parts]
            self._cached[resolution] = cached
        return iter(cached)

    def _preprocess(self, part: Tensor, resolution: int) -> Tensor:
        images = self._split.images(part).to(self._device)
        return preprocess(images, resolution, self._preprocessing).contiguous(
            memory_format=torch.channels_last
        )


def split_evenly(indices: Tensor, max_size: int = MAX_BATCH_SIZE) -> list[Tensor]:
    """Split `indices` into parts whose sizes differ by at most one.

    Batches that have equal weights in an average must have equal sizes.
    """
    parts = -(-len(indices) // max_size)
    return list(torch.tensor_split(indices, parts))


def sample_indices(total: int, count: int, seed: int) -> Tensor:
    """Sample `count` different numbers below `total`, in random order; at most all of them."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(total, generator=generator)[:count]

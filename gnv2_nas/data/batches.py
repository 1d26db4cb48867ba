"""Training batches: which images each step sees is a function of the seed and the step alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gnv2_nas.data.dataset import Split
from gnv2_nas.errors import DataError

_AHEAD = 2
"""Batches that are read while earlier ones are computed on."""


class TrainingBatches:
    """An endless sequence of batches: epoch after epoch, each in an order of its own.

    The images of an epoch that do not fill a batch are left out of that epoch.

    Args:
        batch_size: images per step, over all ranks together.
        seed: of the order.
        rank: which of the processes that train together this one is.
        world_size: how many there are; each takes every `world_size`-th image of a batch.

    Raises:
        DataError: fewer images than a batch, or a batch that the processes cannot share equally.
    """

    def __init__(
        self, split: Split, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        if not 1 <= batch_size <= len(split):
            raise DataError(
                f"a batch must have 1 to {len(split)} images, as many as there are to train on, "
                f"but got batch_size={batch_size}; take a smaller batch or more images"
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
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def indices(self, step: int) -> Tensor:
        """Which images of the split this rank sees at `step`: int64, (batch_size / world_size,)."""
        epoch, number = divmod(step, self.steps_per_epoch)
        start = number * self.batch_size
        return self._order(epoch)[start : start + self.batch_size][self.rank :: self.world_size]

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (uint8, B x 3 x S x S) and labels (int64, B) of any step, in any order."""
        indices = self.indices(step)
        return self.split.images(indices), self.split.labels[indices]

    def from_step(self, step: int) -> Generator[tuple[Tensor, Tensor], None, None]:
        """`batch(step)`, `batch(step + 1)`, … without end, read ahead in a thread."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
        waiting: deque[Future[tuple[Tensor, Tensor]]] = deque()
        try:
            while True:
                while len(waiting) <= _AHEAD:
                    waiting.append(pool.submit(self.batch, step))
                    step += 1
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _shuffled(self, epoch: int) -> Tensor:
        order = np.random.default_rng((self.seed % 2**64, epoch)).permutation(len(self.split))
        return torch.from_numpy(order)

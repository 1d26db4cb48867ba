"""Training batches: a function of the seed and the step."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gnv2_nas.data import TrainingBatches
from gnv2_nas.errors import DataError


@dataclass(frozen=True)
class Numbered:
    """Images of one pixel that hold their own number."""

    count: int
    names: Sequence[str] = field(default_factory=list)

    @property
    def labels(self) -> Tensor:
        return torch.arange(self.count)

    def __len__(self) -> int:
        return self.count

    def images(self, indices: Tensor) -> Tensor:
        return indices.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 1, 1)


def numbers(batch: tuple[Tensor, Tensor]) -> list[int]:
    images, labels = batch
    assert images[:, 0, 0, 0].tolist() == labels.tolist()
    return labels.tolist()


def test_an_epoch_shows_every_image_once() -> None:
    batches = TrainingBatches(Numbered(12), 4, seed=0)
    assert batches.steps_per_epoch == 3
    epochs = [
        [number for step in range(first, first + 3) for number in numbers(batches.batch(step))]
        for first in (0, 3, 6)
    ]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_what_does_not_fill_a_batch_is_left_out_of_its_epoch() -> None:
    batches = TrainingBatches(Numbered(11), 4, seed=0)
    assert batches.steps_per_epoch == 2
    seen = [numbers(batches.batch(step)) for step in range(40)]
    assert {len(batch) for batch in seen} == {4}
    assert set(itertools.chain(*seen)) == set(range(11))


@given(seed=st.integers(0, 2**32), step=st.integers(0, 10**6), count=st.integers(4, 40))
def test_a_function_of_seed_and_step(seed: int, step: int, count: int) -> None:
    used, fresh = (TrainingBatches(Numbered(count), 4, seed) for _ in range(2))
    for other in (0, step + 1, step + 999):
        used.batch(other)
    assert numbers(used.batch(step)) == numbers(fresh.batch(step))


def test_seeds_differ() -> None:
    orders = {tuple(numbers(TrainingBatches(Numbered(12), 12, seed).batch(0))) for seed in range(5)}
    assert len(orders) == 5


def test_torchs_random_state_is_neither_read_nor_changed() -> None:
    before = torch.get_rng_state()
    first = numbers(TrainingBatches(Numbered(12), 4, 0).batch(5))
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(77)
        assert numbers(TrainingBatches(Numbered(12), 4, 0).batch(5)) == first


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_ranks_share_each_batch(world_size: int) -> None:
    alone = TrainingBatches(Numbered(20), 6, 0)
    ranks = [TrainingBatches(Numbered(20), 6, 0, rank, world_size) for rank in range(world_size)]
    for step in (0, 1, 7):
        parts = [numbers(rank.batch(step)) for rank in ranks]
        assert {len(part) for part in parts} == {6 // world_size}
        assert sorted(itertools.chain(*parts)) == sorted(numbers(alone.batch(step)))


def test_from_step_goes_on_as_batch_does() -> None:
    batches = TrainingBatches(Numbered(12), 4, 0)
    stream = batches.from_step(7)
    read = [numbers(batch) for batch in itertools.islice(stream, 10)]
    stream.close()
    assert read == [numbers(batches.batch(step)) for step in range(7, 17)]


def test_reading_ahead_ends_with_the_stream() -> None:
    before = set(threading.enumerate())
    stream = TrainingBatches(Numbered(12), 4, 0).from_step(0)
    next(stream)
    assert set(threading.enumerate()) - before
    stream.close()
    assert not set(threading.enumerate()) - before


def test_an_error_while_reading_ahead_reaches_the_trainer() -> None:
    class Failing(Numbered):
        def images(self, indices: Tensor) -> Tensor:
            raise DataError(f"image {indices[0]} is gone")

    stream = TrainingBatches(Failing(12), 4, 0).from_step(0)
    with pytest.raises(DataError, match="is gone"):
        next(stream)


def test_fewer_images_than_a_batch() -> None:
    with pytest.raises(DataError, match=r"batch_size must be 1 to 12, .* but got 13"):
        TrainingBatches(Numbered(12), 13, 0)


def test_batch_that_cannot_be_shared() -> None:
    with pytest.raises(DataError, match=r"multiple of the 3 processes, but got 4"):
        TrainingBatches(Numbered(12), 4, 0, 0, 3)

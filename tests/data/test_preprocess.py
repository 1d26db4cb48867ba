"""Images for evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from gnv2_nas.arch import Preprocessing
from gnv2_nas.data import load_dataset, preprocess
from gnv2_nas.data.batches import PreprocessedImages, sample_indices, split_evenly
from tests.data.pictures import noise

CPU = torch.device("cpu")
PLAIN = Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), ("a", "b"))
COLOURED = Preprocessing((0.5, 0.25, 0.1), (0.2, 0.4, 0.8), ("a", "b"))


def tensor_of(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())[None]


@pytest.mark.parametrize("resolution", [8, 13, 24, 31, 32, 50, 64])
def test_resized_as_pillow_does(resolution: int) -> None:
    image = noise(0, 32, 32)
    ours = preprocess(tensor_of(image), resolution, PLAIN) * 255
    size = (resolution, resolution)
    theirs = tensor_of(image.resize(size, Image.Resampling.BILINEAR))
    assert ours.shape == (1, 3, resolution, resolution)
    assert ours.dtype == torch.float32
    # Pillow rounds to whole values, once for each direction.
    assert (ours - theirs).abs().max() <= 1.01


def test_normalised_colour_by_colour() -> None:
    images = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    for resolution in (4, 2, 9):
        colours = preprocess(images, resolution, COLOURED)[1, :, 1, 1]
        assert colours.tolist() == pytest.approx([2.5, -0.625, 0.125], abs=1e-5)


def test_images_stay_as_they_are() -> None:
    images = tensor_of(noise(0, 16, 16))
    before = images.clone()
    preprocess(images, 16, COLOURED)
    assert torch.equal(images, before)


def test_batches_are_cached():
    data = load_dataset("digits", 32)
    images = PreprocessedImages(data.val, torch.arange(150), data.preprocessing, CPU)
    first, second = (list(images.batches(32)) for _ in range(2))
    assert [len(batch) for batch in first] == [75, 75]
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert torch.equal(images.labels, data.val.labels[:150])


def test_batches_beyond_the_limit_are_not_cached_and_are_the_same():
    data = load_dataset("digits", 32)
    kept, fresh = (
        PreprocessedImages(data.val, torch.arange(20), data.preprocessing, CPU, max_bytes=size)
        for size in (1 << 30, 0)
    )
    for _ in range(2):
        assert torch.equal(next(kept.batches(32)), next(fresh.batches(32)))


def test_indices_are_split_evenly_and_sampled_once():
    assert [len(part) for part in split_evenly(torch.arange(257), 128)] == [86, 86, 85]
    chosen = sample_indices(1000, 20, seed=1)
    assert len(set(chosen.tolist())) == 20
    assert torch.equal(chosen, sample_indices(1000, 20, seed=1))
    assert sorted(sample_indices(5, 20, seed=0).tolist()) == [0, 1, 2, 3, 4]

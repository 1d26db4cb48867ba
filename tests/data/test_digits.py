"""The built-in digits."""

from __future__ import annotations

import numpy as np
import torch

from gnv2_nas.data import load_dataset
from gnv2_nas.data.loading import read_digits
from tests.data.make_digits import read_source


def test_file_holds_the_images_of_their_source() -> None:
    for ours, theirs in zip(read_digits(), read_source(), strict=True):
        assert np.array_equal(ours, theirs)


def test_what_they_are() -> None:
    digits = load_dataset("digits", 64)
    assert digits.content_hash == "891187fa01b8"  # every record of a training on the digits has it
    assert digits.name == "digits"
    assert digits.classes == tuple("0123456789")
    assert digits.side == 8
    assert len(digits.train) + len(digits.val) == 1797
    images = digits.train.images(torch.arange(len(digits.train)))
    assert images.dtype == torch.uint8
    assert images.shape == (len(digits.train), 3, 8, 8)
    assert images.min() == 0
    assert images.max() == 255
    assert torch.equal(images[:, 0], images[:, 2])


def test_a_quarter_of_every_digit_is_held_out() -> None:
    report = load_dataset("digits", 8).report
    for count in report.classes:
        assert abs(count.val / (count.val + count.train) - 0.25) < 0.01
    assert len(report.lines()) == 1
    assert len(load_dataset("digits", 8, held_out=0.5).val) in range(889, 909)


def test_seed_decides() -> None:
    one, same, other = (load_dataset("digits", 8, seed=seed) for seed in (1, 1, 2))
    assert list(one.val.names) == list(same.val.names)
    assert one.content_hash == same.content_hash
    assert list(one.val.names) != list(other.val.names)
    assert one.content_hash != other.content_hash


def test_labels_belong_to_the_images() -> None:
    digits = load_dataset("digits", 8)
    means = torch.stack(
        [
            digits.train.images((digits.train.labels == label).nonzero()[:, 0]).float().mean(0)
            for label in range(10)
        ]
    ).flatten(1)
    val = digits.val.images(torch.arange(len(digits.val))).float().flatten(1)
    # A nearest mean is a poor classifier, and right nine times in ten.
    found = torch.cdist(val, means).argmin(1)
    assert (found == digits.val.labels).float().mean() > 0.85


def test_digits_are_never_mirrored() -> None:
    assert load_dataset("digits", 8).augmentation.flip == 0

"""Real handwritten digits that need no download: 1,797 grey images of 8 x 8 pixels.

scikit-learn's copy of the test set of the UCI "Optical Recognition of Handwritten Digits"
(Alpaydin and Kaynak, 1998).
"""

from __future__ import annotations

import hashlib

import torch

from gnv2_nas.data.augmentation import DIGITS_AUGMENTATION
from gnv2_nas.data.dataset import Dataset, StoredSplit, measure_preprocessing
from gnv2_nas.data.folders.source import DIGIT_CLASSES, DIGITS
from gnv2_nas.data.report import DataReport
from gnv2_nas.data.splitting import LabelledImage, split_stratified

DEFAULT_HELD_OUT = 0.25
_SIDE = 8
_WHITE = 16
"""Largest value of a pixel."""


def load_digits(*, seed: int, held_out: float = DEFAULT_HELD_OUT) -> Dataset:
    """The digits, stored at their own size.

    Raises:
        DataError: `held_out` is not in 0..1.
    """
    from sklearn.datasets import load_digits as load

    bunch = load()
    grey = (torch.from_numpy(bunch.images) * 255 / _WHITE).round().to(torch.uint8)
    stored = grey[:, None].expand(-1, 3, -1, -1).contiguous()
    images = [
        LabelledImage(row, f"image {row}", label, hashlib.sha256(pixels.numpy()).hexdigest())
        for row, (label, pixels) in enumerate(zip(bunch.target.tolist(), grey, strict=True))
    ]
    sides = split_stratified(images, DIGIT_CLASSES, held_out=held_out, seed=seed)
    train, val = (StoredSplit.of(stored, side) for side in sides)
    return Dataset(
        name=DIGITS,
        classes=DIGIT_CLASSES,
        train=train,
        val=val,
        preprocessing=measure_preprocessing(train, DIGIT_CLASSES),
        side=_SIDE,
        content_hash=sides.content_hash(DIGIT_CLASSES),
        report=DataReport(sides.counts(DIGIT_CLASSES)),
        augmentation=DIGITS_AUGMENTATION,
    )

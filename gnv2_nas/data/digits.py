"""Built-in images: 1,797 handwritten digits, grey, 8 x 8 pixels.

The test set of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI, 1998), from
scikit-learn's copy; `digits.LICENSE` beside this file has its licence.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gnv2_nas.data.augmentation import DIGITS_AUGMENTATION
from gnv2_nas.data.dataset import Dataset, StoredSplit, measure_preprocessing
from gnv2_nas.data.folders.source import DIGIT_CLASSES, DIGITS
from gnv2_nas.data.report import DataReport
from gnv2_nas.data.splitting import LabelledImage, split_stratified

DIGITS_FILE = Path(__file__).with_name("digits.npz")
DIGITS_HELD_OUT = 0.25
_SIDE = 8
_WHITE = 16


def read_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read the file: pixels 0..16 of shape (N, 8, 8), and labels of shape (N,)."""
    with np.load(DIGITS_FILE, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]


def load_digits(*, seed: int, held_out: float = DIGITS_HELD_OUT) -> Dataset:
    """Load the digits, stored at their own size.

    Raises:
        DataError: `held_out` is not in 0..1.
    """
    pixels, labels = read_digits()
    grey = (torch.from_numpy(pixels).double() * 255 / _WHITE).round().to(torch.uint8)
    stored = grey[:, None].expand(-1, 3, -1, -1).contiguous()
    images = [
        LabelledImage(row, f"image {row}", label, hashlib.sha256(image.numpy()).hexdigest())
        for row, (label, image) in enumerate(zip(labels.tolist(), grey, strict=True))
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

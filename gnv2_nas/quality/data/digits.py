"""Real handwritten digits that need no download: 1,797 grey images of 8 x 8 pixels.

scikit-learn's copy of the test set of the UCI "Optical Recognition of Handwritten Digits"
(Alpaydin and Kaynak, 1998).
"""

from __future__ import annotations

import hashlib

import torch

from gnv2_nas.quality.data.augmentation import DIGITS
from gnv2_nas.quality.data.dataset import Dataset, StoredSplit, measured_preprocessing
from gnv2_nas.quality.data.report import ClassCount, DataReport
from gnv2_nas.quality.data.splitting import held_out_indices

SIDE = 8
HELD_OUT = 0.25
CLASSES = tuple("0123456789")


def load_digits(*, seed: int, held_out: float = HELD_OUT) -> Dataset:
    """The digits, stored at their own size.

    Raises:
        DataError: `held_out` is not in 0..1.
    """
    from sklearn.datasets import load_digits as load

    bunch = load()
    values = torch.from_numpy(bunch.images)
    grey = (values * 255 / 16).round().to(torch.uint8)
    stored = grey[:, None].expand(-1, 3, -1, -1).contiguous()
    labels = torch.from_numpy(bunch.target).long()
    digests = [hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in grey]
    chosen = held_out_indices(labels.tolist(), digests, CLASSES, held_out=held_out, seed=seed)
    in_val = torch.zeros(len(labels), dtype=torch.bool)
    in_val[chosen] = True

    def side(rows: torch.Tensor) -> StoredSplit:
        return StoredSplit(stored, rows, labels[rows], [f"digit {row}" for row in rows.tolist()])

    train, val = side((~in_val).nonzero()[:, 0]), side(in_val.nonzero()[:, 0])
    counts = zip(
        CLASSES, train.labels.bincount().tolist(), val.labels.bincount().tolist(), strict=True
    )
    return Dataset(
        name="digits",
        classes=CLASSES,
        train=train,
        val=val,
        preprocessing=measured_preprocessing(train, CLASSES),
        side=SIDE,
        content_hash=hashlib.sha256(f"digits {chosen}".encode()).hexdigest()[:12],
        report=DataReport(tuple(ClassCount(*count) for count in counts)),
        augmentation=DIGITS,
    )

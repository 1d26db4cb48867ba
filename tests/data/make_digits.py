"""Writes `gnv2_nas/data/digits.npz`: `python -m tests.data.make_digits`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from gnv2_nas.data.loading import DIGITS_FILE


def read_source() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels 0..16, shape (1797, 8, 8), and labels, shape (1797,)."""
    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)


if __name__ == "__main__":
    images, labels = read_source()
    np.savez_compressed(DIGITS_FILE, images=images, labels=labels)

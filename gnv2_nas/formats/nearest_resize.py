"""Which pixels torch's nearest resize reads, and where runtimes read others."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray


def nearest_sources(small: int, large: int) -> NDArray[np.int64]:
    """Which of `small` pixels each of `large` reads in torch, float32 rounding included."""
    scaled = np.arange(large, dtype=np.float32) * (np.float32(small) / np.float32(large))
    sources: NDArray[np.int64] = np.minimum(np.floor(scaled), small - 1).astype(np.int64)
    return sources


@cache
def floors_alike(small: int, large: int) -> bool:
    """Whether torch, which multiplies by in/out, and runtimes that divide by out/in pick the
    same pixels. Where i · in/out is a whole number, one may round it down and the other not:
    28 → 114 pixels, for instance."""
    divided = np.arange(large, dtype=np.float32) / (np.float32(large) / np.float32(small))
    return bool(np.array_equal(np.floor(divided), nearest_sources(small, large)))

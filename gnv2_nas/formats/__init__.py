"""Files for runtimes, written from a graph: one folder per format."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INPUT, OUTPUT = "input", "logits"
"""Names of a file's input and output."""


def nearest_sources(small: int, large: int) -> NDArray[np.int64]:
    """For each of `large` pixels, the index of the pixel among `small` that torch's nearest resize
    reads, with torch's float32 rounding."""
    import numpy as np

    scaled = np.arange(large, dtype=np.float32) * (np.float32(small) / np.float32(large))
    sources: NDArray[np.int64] = np.minimum(np.floor(scaled), small - 1).astype(np.int64)
    return sources


@cache
def divides_like_torch(small: int, large: int) -> bool:
    """Whether a runtime that divides by out/in reads the same pixels as torch, which multiplies by
    in/out. They differ if i · in/out is a whole number that one of them rounds down, for instance
    for 28 → 114 pixels."""
    import numpy as np

    divided = np.arange(large, dtype=np.float32) / (np.float32(large) / np.float32(small))
    return bool(np.array_equal(np.floor(divided), nearest_sources(small, large)))

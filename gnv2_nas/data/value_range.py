"""Finds images that use a small part of their range of values and would become nearly black.

Cameras, microscopes and scanners store 10, 12 or 14 bits in files of 16; masks store class
numbers. The files do not say so, only their values do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

_SHARE = 0.1
"""Share of dim images that causes a warning; a smaller share may simply be dark."""
_DIM_DEEP = 2**14
_DIM = 2**4
"""An image is dim if all values are below these, of 65,535 and of 255."""
_MAX_DEEP = 65_535


class ValueRange(NamedTuple):
    """Range of the values of one image, as stored in its file."""

    deep: bool
    """Whether a pixel has more than 8 bits per colour."""
    lowest: int
    highest: int


def is_deep(image: ImageFile) -> bool:
    """Whether the file has more than 8 bits per colour; call it before the pixels are loaded."""
    # Pillow reduces 16 bits per colour to 8 while loading, without a trace in `mode`.
    return image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in image.tile)


def measure_deep_range(image: Image.Image) -> ValueRange:
    """Measure the range of a loaded image for which `is_deep` was true, without alpha."""
    values = np.asarray(image)
    if values.ndim == 2:
        return ValueRange(True, int(values.min()), int(values.max()))
    # Only the upper 8 of 16 bits are left; assume the largest value they may come from.
    colours = [not band.startswith(("A", "a")) for band in image.getbands()]
    return ValueRange(True, 0, 256 * int(values[..., colours].max()) + 255)


def measure_range(picture: Image.Image) -> ValueRange:
    """Measure the range of an RGB image."""
    lows, highs = zip(*picture.getextrema(), strict=True)
    return ValueRange(False, int(min(lows)), int(max(highs)))


def describe_ranges(ranges: Sequence[ValueRange]) -> tuple[str, ...]:
    """Describe faults in the ranges of all images of a set, one line for each kind."""
    deep = [values for values in ranges if values.deep]
    shallow = [values for values in ranges if not values.deep]
    return (*_find_dim_deep(deep), *_find_dim(shallow), *_find_outside(deep))


def _find_dim_deep(ranges: Sequence[ValueRange]) -> list[str]:
    dim = [values.highest for values in ranges if values.highest < _DIM_DEEP]
    if len(dim) <= _SHARE * len(ranges):
        return []
    bits = max(8, max(dim).bit_length())
    bits += bits % 2
    return [
        f"{len(dim):,} of {len(ranges):,} images of 16 bits or more have no value above "
        f"{max(dim):,} of {_MAX_DEEP:,}, which suggests data of {bits} bits: they become nearly "
        f"black (at most {max(dim) / 257:.0f} of 255) and lose fine differences; multiply their "
        f"values by {2 ** (16 - bits)}, or save them as 8 bits over the full range"
    ]


def _find_dim(ranges: Sequence[ValueRange]) -> list[str]:
    dim = [values.highest for values in ranges if values.highest < _DIM]
    if len(dim) <= _SHARE * len(ranges):
        return []
    return [
        f"{len(dim):,} of {len(ranges):,} images of 8 bits have no value above {max(dim)} of 255, "
        "which suggests masks or data of few bits: they are nearly black; if they are pictures, "
        "stretch their values to 0 to 255"
    ]


def _find_outside(ranges: Sequence[ValueRange]) -> list[str]:
    outside = [values for values in ranges if values.lowest < 0 or values.highest > _MAX_DEEP]
    if not outside:
        return []
    lowest = min(values.lowest for values in outside)
    highest = max(values.highest for values in outside)
    return [
        f"{len(outside):,} images have values from {lowest:,} to {highest:,}; values outside "
        f"0 to {_MAX_DEEP:,} are cut off: scale the values to that range, or save them as 8 bits"
    ]

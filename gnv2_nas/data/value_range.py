"""Images that use a small part of the values their files can hold, and become nearly black.

Cameras, microscopes and scanners write 10, 12 or 14 bits into files of 16; masks hold class
numbers. Nothing in such a file says so: only the values do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

_SHARE = 0.1
"""Of the images; fewer may simply be dark ones."""
_DIM_DEEP = 2**14
_DIM = 2**4
"""Values below these are dim, of 65,535 and of 255."""
_MAX_DEEP = 65_535


class ValueRange(NamedTuple):
    """The values of one image, as its file has them."""

    deep: bool
    """Whether a pixel has more than 8 bits of a colour."""
    lowest: int
    highest: int


def is_deep(image: ImageFile) -> bool:
    """Whether the file has more than 8 bits of a colour; asked before the pixels are loaded."""
    # Of 16 bits of red, green and blue Pillow keeps the upper 8, and forgets that there were more.
    return image.mode.startswith("I") or any(";16" in str(tile[3]) for tile in image.tile)


def measure_deep_range(image: Image.Image) -> ValueRange:
    """The values of a loaded image for which `is_deep` was true, alpha left out."""
    values = np.asarray(image)
    if values.ndim == 2:
        return ValueRange(True, int(values.min()), int(values.max()))
    # Only the upper 8 of 16 bits are left: the largest value that they may have come from.
    colours = [not band.startswith(("A", "a")) for band in image.getbands()]
    return ValueRange(True, 0, 256 * int(values[..., colours].max()) + 255)


def measure_range(picture: Image.Image) -> ValueRange:
    """The values of an RGB image."""
    lows, highs = zip(*picture.getextrema(), strict=True)
    return ValueRange(False, int(min(lows)), int(max(highs)))


def describe_ranges(ranges: Sequence[ValueRange]) -> tuple[str, ...]:
    """What the values of all images of a set say, a line for each kind of fault."""
    deep = [values for values in ranges if values.deep]
    shallow = [values for values in ranges if not values.deep]
    return (*_dim_deep(deep), *_dim(shallow), *_outside(deep))


def _dim_deep(ranges: Sequence[ValueRange]) -> list[str]:
    dim = [values.highest for values in ranges if values.highest < _DIM_DEEP]
    if len(dim) <= _SHARE * len(ranges):
        return []
    bits = max(8, max(dim).bit_length())
    bits += bits % 2
    return [
        f"{len(dim):,} of {len(ranges):,} images of 16 bits or more have no value above "
        f"{max(dim):,} of {_MAX_DEEP:,}, as data of {bits} bits have: they become nearly black "
        f"(at most {max(dim) / 257:.0f} of 255) and lose their fine differences; multiply their "
        f"values by {2 ** (16 - bits)}, or save them as 8 bits over the full range"
    ]


def _dim(ranges: Sequence[ValueRange]) -> list[str]:
    dim = [values.highest for values in ranges if values.highest < _DIM]
    if len(dim) <= _SHARE * len(ranges):
        return []
    return [
        f"{len(dim):,} of {len(ranges):,} images of 8 bits have no value above {max(dim)} of 255, "
        "as masks and data of few bits have: they are nearly black; if they are pictures, stretch "
        "their values to 0 to 255"
    ]


def _outside(ranges: Sequence[ValueRange]) -> list[str]:
    outside = [values for values in ranges if values.lowest < 0 or values.highest > _MAX_DEEP]
    if not outside:
        return []
    lowest = min(values.lowest for values in outside)
    highest = max(values.highest for values in outside)
    return [
        f"{len(outside):,} images have values from {lowest:,} to {highest:,}; what is outside "
        f"0 to {_MAX_DEEP:,} is cut off: scale the values to that range, or save them as 8 bits"
    ]

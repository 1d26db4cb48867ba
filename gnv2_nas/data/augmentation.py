"""How strongly training images are changed at random. Plain data; `augment` does the work."""

from __future__ import annotations

from typing import Literal

import msgspec

from gnv2_nas.errors import DataError


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Strengths of the random changes; the defaults suit photographs.

    Raises:
        DataError: a range with low > high, a probability outside 0..1, a negative strength.
    """

    area: tuple[float, float] = (0.35, 1.0)
    """Share of the image that is cut out; more than 1 shows what lies around it (`padding`)."""
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    """Width over height of that piece, drawn on a logarithmic scale."""
    flip: float = 0.5
    """Probability of swapping left and right."""
    rotation: float = 0.0
    """Degrees to either side."""
    shift: float = 0.0
    """To any side, as a share of the image's side; on top of the place of the piece."""
    brightness: float = 0.2
    """Values are multiplied by 1 ± this."""
    contrast: float = 0.2
    """Distances from the mean grey of the image are multiplied by 1 ± this."""
    saturation: float = 0.2
    """Distances from the grey of each pixel are multiplied by 1 ± this."""
    erasing: float = 0.0
    """Probability of overwriting a rectangle with the mean colour (random erasing)."""
    padding: Literal["reflection", "border", "zeros"] = "reflection"
    """What lies outside an image: its mirror image, its border going on, or black."""

    def __post_init__(self) -> None:
        for name in ("area", "aspect"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise DataError(f"`0 < low <= high` must hold for {name}, but got {(low, high)}")
        for name in ("flip", "erasing", "brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{name} must be in 0..1, but got {getattr(self, name)}")
        for name in ("rotation", "shift"):
            if not getattr(self, name) >= 0:
                raise DataError(f"{name} must not be negative, but got {getattr(self, name)}")


DIGITS = Augmentation(
    area=(0.8, 1.25),
    aspect=(0.9, 1.1),
    flip=0.0,
    rotation=10.0,
    shift=0.06,
    saturation=0.0,
    padding="zeros",
)
"""For handwritten digits: a mirrored 2 is no 2, and their ground is black."""


def scaled(augmentation: Augmentation, strength: float) -> Augmentation:
    """Every range of `augmentation` times `strength`; 0 changes nothing about an image.

    Flipping stays as it is unless it falls away with the rest: a picture is mirrored or it is not.
    """
    one = augmentation
    return msgspec.structs.replace(
        one,
        area=_range(one.area, strength),
        aspect=_range(one.aspect, strength),
        flip=one.flip if strength else 0.0,
        rotation=one.rotation * strength,
        shift=one.shift * strength,
        brightness=min(1.0, one.brightness * strength),
        contrast=min(1.0, one.contrast * strength),
        saturation=min(1.0, one.saturation * strength),
        erasing=min(1.0, one.erasing * strength),
    )


def _range(limits: tuple[float, float], strength: float) -> tuple[float, float]:
    """Limits of a factor: to the power, which keeps them positive and 1 where it is."""
    low, high = limits
    return low**strength, high**strength

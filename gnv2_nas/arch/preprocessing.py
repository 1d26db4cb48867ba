"""`Preprocessing`: how an image becomes a network's input, and the names of its outputs.

Weight files and exported models carry it.
"""

from __future__ import annotations

import math

import msgspec

from gnv2_nas.errors import DataError


class Preprocessing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Normalisation and class names.

    Raises:
        DataError: a standard deviation is not positive, or a value is not finite.
    """

    mean: tuple[float, float, float]
    """Mean of red, green and blue in 0..1."""
    std: tuple[float, float, float]
    """Standard deviation of red, green and blue."""
    classes: tuple[str, ...]
    """Class names in the order of the outputs."""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise DataError(
                "mean must be finite and std positive, "
                f"but got mean={self.mean} and std={self.std}; measure them on images"
            )

    def steps(self, side: int) -> tuple[str, ...]:
        """Instructions for turning an image file into the input, one sentence per step. The `data`
        room does the same.

        Args:
            side: height and width of the input in pixels.
        """
        mean, std = (", ".join(f"{value:.6g}" for value in each) for each in (self.mean, self.std))
        return (
            "Decode the image; of an animation the first frame. Turn it upright as the orientation "
            "in its EXIF data says.",
            "Scale 16-bit grey to 8 bits: value / 257, rounded. Put transparent images on white. "
            "Convert to RGB.",
            f"Resize so that the shorter side is {side} px (bilinear, antialiased) and crop the "
            f"centre, {side} × {side} px.",
            "Divide by 255.",
            f"Subtract the mean ({mean}) and divide by the standard deviation ({std}), colour by "
            "colour; the order is red, green, blue.",
        )

    def to_json(self) -> str:
        """JSON: fields in declaration order, no white space."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Preprocessing:
        """The inverse of `to_json`.

        Raises:
            DataError: invalid JSON, a missing or unknown field, or a value of the wrong type.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataError(f"not a preprocessing in JSON: {error}") from None

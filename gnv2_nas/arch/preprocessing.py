"""`Preprocessing`: how an image becomes a network's input, and what its outputs mean.

It travels with trained weights and with exported models: without it logits are only numbers.
"""

from __future__ import annotations

import math

import msgspec

from gnv2_nas.errors import DataError


class Preprocessing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """RGB, shorter side resized to the resolution (bilinear, antialiased), centre crop to a
    square, values divided by 255, minus `mean`, over `std`.

    Raises:
        DataError: a standard deviation that is not positive, a value that is not finite.
    """

    mean: tuple[float, float, float]
    """Of red, green and blue, in 0..1."""
    std: tuple[float, float, float]
    classes: tuple[str, ...]
    """Names of the outputs, in order."""

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise DataError(
                "mean must be finite and std positive, "
                f"but got mean={self.mean} and std={self.std}; measure them on images"
            )

    def to_json(self) -> str:
        """JSON: fields in declaration order, no white space."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Preprocessing:
        """The inverse of `to_json`.

        Raises:
            DataError: not JSON, an unknown or missing field, a value of a wrong type.
        """
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise DataError(f"not a preprocessing in JSON: {error}") from None

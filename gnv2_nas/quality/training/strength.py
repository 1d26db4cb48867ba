"""A data set's augmentation, made stronger or weaker."""

from __future__ import annotations

import msgspec

from gnv2_nas.quality.data import Augmentation


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

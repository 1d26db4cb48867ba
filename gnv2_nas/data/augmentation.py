"""Random changes of training images, in batches, on the device of the images.

A random resized crop (Szegedy et al., "Going deeper with convolutions", 2015, sec. 6), flip,
rotation and shift form one affine map, so each image is resampled once. Brightness, contrast,
saturation and normalisation form an affine map of the colours. Random erasing (Zhong et al.,
2020) comes last.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import torch
from torch import Tensor
from torch.nn import functional as F

from gnv2_nas.arch import Preprocessing
from gnv2_nas.errors import DataError


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ranges of the random changes; the defaults suit photographs.

    Raises:
        DataError: a range with low > high, a probability outside 0..1, a negative strength.
    """

    area: tuple[float, float] = (0.35, 1.0)
    """Area of the crop as a share of the image; above 1 it includes `padding`."""
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    """Width over height of the crop, log-uniform."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    rotation: float = 0.0
    """Maximum rotation to either side, degrees."""
    shift: float = 0.0
    """Maximum shift of the crop in each direction, as a share of the image's side."""
    brightness: float = 0.2
    """Values are multiplied by 1 ± at most this."""
    contrast: float = 0.2
    """Differences from the mean grey of the image are multiplied by 1 ± at most this."""
    saturation: float = 0.2
    """Differences from the grey of each pixel are multiplied by 1 ± at most this."""
    erasing: float = 0.0
    """Probability of overwriting a rectangle with the mean colour (random erasing)."""
    padding: Literal["reflection", "border", "zeros"] = "reflection"
    """Outside of an image: its mirror image, its border repeated, or black."""

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

    def scale(self, strength: float) -> Augmentation:
        """Multiply every range by `strength`; 0 leaves images as they are.

        The probability of a flip does not scale: it stays as it is, or becomes 0 with `strength`.
        """
        return msgspec.structs.replace(
            self,
            area=_scale_range(self.area, strength),
            aspect=_scale_range(self.aspect, strength),
            flip=self.flip if strength else 0.0,
            rotation=self.rotation * strength,
            shift=self.shift * strength,
            brightness=min(1.0, self.brightness * strength),
            contrast=min(1.0, self.contrast * strength),
            saturation=min(1.0, self.saturation * strength),
            erasing=min(1.0, self.erasing * strength),
        )


DIGITS_AUGMENTATION = Augmentation(
    area=(0.8, 1.25),
    aspect=(0.9, 1.1),
    flip=0.0,
    rotation=10.0,
    shift=0.06,
    saturation=0.0,
    padding="zeros",
)
"""Suits handwritten digits: no flips, because a mirrored 2 is not a 2; black padding."""


def _scale_range(limits: tuple[float, float], strength: float) -> tuple[float, float]:
    """Scale the limits of a factor on a logarithmic scale."""
    low, high = limits
    return low**strength, high**strength


_GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""
_ERASED_AREA = (0.02, 0.2)
_ERASED_ASPECT = (0.3, 3.3)
_SPACING = 1.5
"""Maximum distance of samples in stored pixels; a larger one would cause aliasing."""


def augment(
    images: Tensor,
    resolution: int,
    preprocessing: Preprocessing,
    augmentation: Augmentation,
    seed: int,
) -> Tensor:
    """Change images at random, resize them to the resolution of a network and normalise them.

    The result is a function of the arguments alone. Random numbers come from a generator on the
    CPU, so they are the same on every device, and torch's global random state does not change.

    Args:
        images: uint8, shape (B, 3, S, S), on any device.
        resolution: R, pixels.

    Returns:
        float32, shape (B, 3, R, R), on the same device: normalised colours in 0..1.
    """
    draws = _Draws(len(images), seed)
    placed = _resample(images, _affine_maps(draws, augmentation), resolution, augmentation.padding)
    matrix, offset = _colour_map(draws, augmentation)
    coloured = _map_colours(placed, matrix, offset, preprocessing)
    if augmentation.erasing:
        return _erase(coloured, *_rectangles(draws, augmentation.erasing))
    return coloured


class _Draws:
    """Random numbers, one for each image in every call."""

    def __init__(self, count: int, seed: int) -> None:
        self.count = count
        self._generator = torch.Generator().manual_seed(seed)

    def uniform(self, low: float, high: float) -> Tensor:
        """Shape (B,)."""
        return low + (high - low) * torch.rand(self.count, generator=self._generator)

    def log_uniform(self, low: float, high: float) -> Tensor:
        """Shape (B,)."""
        return self.uniform(math.log(low), math.log(high)).exp()

    def choose(self, probability: float) -> Tensor:
        """Shape (B,), bool."""
        return self.uniform(0, 1) < probability


def _affine_maps(draws: _Draws, augmentation: Augmentation) -> Tensor:
    """Affine maps from output to input coordinates, both in -1..1: shape (B, 2, 3)."""
    area, aspect = draws.uniform(*augmentation.area), draws.log_uniform(*augmentation.aspect)
    largest = max(1.0, math.sqrt(augmentation.area[1]))
    size = torch.stack([area * aspect, area / aspect], 1).sqrt().clamp(max=largest)
    place = torch.stack([draws.uniform(-1, 1), draws.uniform(-1, 1)], 1) * (1 - size)
    shift = 2 * augmentation.shift
    place += torch.stack([draws.uniform(-shift, shift), draws.uniform(-shift, shift)], 1)
    angle = torch.deg2rad(draws.uniform(-augmentation.rotation, augmentation.rotation))
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    mirror = torch.where(draws.choose(augmentation.flip), -1.0, 1.0)
    size = torch.stack([size[:, 0] * mirror, size[:, 1]], 1)
    return torch.cat([turn * size[:, None], place[:, :, None]], 2)


def _resample(images: Tensor, maps: Tensor, resolution: int, padding: str) -> Tensor:
    """Sample the images bilinearly: float32 in 0..255, shape (B, 3, R, R)."""
    count, side = len(images), images.shape[-1]
    # When images shrink a lot, each pixel is the mean of several samples.
    samples = max(1, math.ceil(side / (resolution * _SPACING)))
    size = [count, 3, samples * resolution, samples * resolution]
    grid = F.affine_grid(maps.to(images.device), size, align_corners=False)
    placed = F.grid_sample(images.float(), grid, padding_mode=padding, align_corners=False)
    return F.avg_pool2d(placed, samples) if samples > 1 else placed


def _colour_map(draws: _Draws, augmentation: Augmentation) -> tuple[Tensor, Tensor]:
    """Draw brightness, contrast and saturation as an affine map of colours.

    Returns:
        Matrices, shape (B, 3, 3), and shares of the image's mean grey to add, shape (B,).
    """
    brightness, contrast, saturation = (
        draws.uniform(1 - strength, 1 + strength)
        for strength in (augmentation.brightness, augmentation.contrast, augmentation.saturation)
    )
    grey = torch.tensor(_GREY).expand(3, 3)
    mixed = grey + saturation[:, None, None] * (torch.eye(3) - grey)
    return (brightness * contrast)[:, None, None] * mixed, brightness * (1 - contrast)


def _map_colours(
    images: Tensor, matrix: Tensor, offset: Tensor, preprocessing: Preprocessing
) -> Tensor:
    """Map the colours of images in 0..255, limit them to 0..1 and normalise them."""
    device = images.device
    mean = torch.tensor(preprocessing.mean, device=device)
    std = torch.tensor(preprocessing.std, device=device)
    pixels = images.flatten(2)
    grey = pixels.mean(2) @ torch.tensor(_GREY, device=device) / 255
    added = ((offset.to(device) * grey)[:, None] - mean) / std
    scaled = matrix.to(device) / (255 * std[:, None])
    mapped = torch.baddbmm(added[:, :, None], scaled, pixels)
    black, white = (-mean / std)[:, None], ((1 - mean) / std)[:, None]
    return mapped.clamp_(black, white).view_as(images)


def _rectangles(draws: _Draws, probability: float) -> tuple[Tensor, Tensor]:
    """Draw centres and half sizes as shares of the side, shape (B, 2) each; size 0 means none."""
    area, aspect = draws.uniform(*_ERASED_AREA), draws.log_uniform(*_ERASED_ASPECT)
    half = torch.stack([area * aspect, area / aspect], 1).sqrt() / 2
    half *= draws.choose(probability)[:, None]
    return torch.stack([draws.uniform(0, 1), draws.uniform(0, 1)], 1), half


def _erase(images: Tensor, centres: Tensor, half: Tensor) -> Tensor:
    """Overwrite rectangles with 0, which is the mean colour after normalisation."""
    side = images.shape[-1]
    points = (torch.arange(side, device=images.device) + 0.5) / side
    centres, half = centres.to(images.device), half.to(images.device)
    inside = (points - centres[:, :, None]).abs() < half[:, :, None]
    columns, rows = inside.unbind(1)
    return images.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)

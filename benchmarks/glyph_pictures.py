"""Draws a letter as a camera may see it: coloured, rotated, blurred."""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 64
_DRAWN = 2 * SIDE
"""Pictures are drawn at twice the size and then reduced."""
FONT_SIZE = 100
"""Size of the fonts for `draw_picture`."""
_PAGE = 4 * FONT_SIZE
"""Side of the page that a letter is drawn on; the widest letters fit."""
SHARE = (0.45, 0.85)
"""Range of the letter's longer side, as a share of the picture's side."""
SHIFT = 0.08
DEGREES = 10.0
SHEAR = 0.25
CONTRAST = 60
"""Minimum difference in brightness of letter and background, of 255."""
BLUR = 1.2
"""Maximum radius in pixels; smaller details are visible at full resolution only."""
NOISE = 12.0

_Colour = tuple[int, int, int]


def draw_picture(font: ImageFont.FreeTypeFont, character: str, rng: random.Random) -> Image.Image:
    """Draw an RGB picture of `SIDE` pixels, a function of the arguments and the state of `rng`.

    Args:
        font: a font of size `FONT_SIZE`.
    """
    letter = _transform(_draw_letter(font, character), _scale(font, character, rng), rng)
    ground, ink = _colours(rng)
    drawn = _ground(ground, rng)
    drawn.paste(ink, mask=letter)
    drawn = drawn.filter(ImageFilter.GaussianBlur(rng.uniform(0, BLUR) * _DRAWN / SIDE))
    return _add_noise(drawn.resize((SIDE, SIDE), Image.Resampling.BOX), rng)


def _draw_letter(font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    """Draw the letter in the middle of a page."""
    left, top, right, bottom = font.getbbox(character)
    page = Image.new("L", (_PAGE, _PAGE))
    corner = ((_PAGE - left - right) / 2, (_PAGE - top - bottom) / 2)
    ImageDraw.Draw(page).text(corner, character, fill=255, font=font)
    return page


def _scale(font: ImageFont.FreeTypeFont, character: str, rng: random.Random) -> float:
    """Choose the number of page pixels per pixel of the picture."""
    left, top, right, bottom = font.getbbox(character)
    share = math.exp(rng.uniform(*map(math.log, SHARE)))
    return float(max(right - left, bottom - top)) / (share * _DRAWN)


def _transform(page: Image.Image, scale: float, rng: random.Random) -> Image.Image:
    """Rotate, slant and shift the page."""
    angle = math.radians(rng.uniform(-DEGREES, DEGREES))
    shear = rng.uniform(-SHEAR, SHEAR)
    a, b = scale * math.cos(angle), scale * math.sin(angle)
    across, down = (a, b + a * shear), (-b, a - b * shear)
    x, y = (_DRAWN * (0.5 + rng.uniform(-SHIFT, SHIFT)) for _ in range(2))
    matrix = [
        *across, _PAGE / 2 - across[0] * x - across[1] * y,
        *down, _PAGE / 2 - down[0] * x - down[1] * y,
    ]  # fmt: skip
    size = (_DRAWN, _DRAWN)
    return page.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _colours(rng: random.Random) -> tuple[_Colour, _Colour]:
    """Choose the colours of background and letter; the letter is darker."""
    while True:
        ground, ink = _colour(rng), _colour(rng)
        if _grey(ground) - _grey(ink) >= CONTRAST:
            return ground, ink


def _colour(rng: random.Random) -> _Colour:
    red, green, blue = (rng.randrange(256) for _ in range(3))
    return red, green, blue


def _grey(colour: _Colour) -> float:
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _ground(colour: _Colour, rng: random.Random) -> Image.Image:
    """Make a gradient from the colour to a similar one."""
    near = tuple(min(255, max(0, part + rng.randint(-40, 40))) for part in colour)
    size = (_DRAWN, _DRAWN)
    ramp = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize(size)
    return Image.composite(Image.new("RGB", size, colour), Image.new("RGB", size, near), ramp)


def _add_noise(image: Image.Image, rng: random.Random) -> Image.Image:
    generator = np.random.default_rng(rng.getrandbits(64))
    noise = generator.normal(0, rng.uniform(0, NOISE), (SIDE, SIDE, 1))
    return Image.fromarray((np.asarray(image) + noise).round().clip(0, 255).astype(np.uint8))

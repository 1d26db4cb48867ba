"""One picture of a letter: between two others, on a coloured ground, as a camera may see it."""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 64
_DRAWN = 2 * SIDE
"""Drawn twice as large, and made smaller at the end."""
FONT_SIZE = 100
"""Of the fonts that `picture` is given."""
SHARE = (0.4, 0.85)
"""Of the picture's side that the letter's longer side takes."""
SHIFT = 0.08
DEGREES = 20.0
SHEAR = 0.25
CONTRAST = 60
"""Least difference of grey between letter and ground, of 255."""
STROKES = 2
BLUR = 1.2
"""Most, in pixels of the picture; what is smaller shows at full resolution only."""
NOISE = 12.0

_Colour = tuple[int, int, int]


def picture(
    font: ImageFont.FreeTypeFont, character: str, others: str, rng: random.Random
) -> Image.Image:
    """An RGB picture of `SIDE` pixels; the same for the same state of `rng`.

    Args:
        font: of `FONT_SIZE`.
        others: characters that may stand to its left and right.
    """
    text = rng.choice(others) + character + rng.choice(others)
    letters = _turned(_written(font, text, rng), rng)
    ground, ink = _colours(rng)
    drawn = _ground(ground, rng)
    _strokes(drawn, rng)
    drawn.paste(ink, mask=letters)
    drawn = drawn.filter(ImageFilter.GaussianBlur(rng.uniform(0, BLUR) * _DRAWN / SIDE))
    return _noisy(drawn.resize((SIDE, SIDE), Image.Resampling.BOX), rng)


def _written(font: ImageFont.FreeTypeFont, text: str, rng: random.Random) -> Image.Image:
    """Where the ink is; the middle character is near the middle."""
    left, top, right, bottom = font.getbbox(text[1])
    wanted = math.exp(rng.uniform(*map(math.log, SHARE))) * _DRAWN
    sized = font.font_variant(
        size=max(6, round(FONT_SIZE * wanted / max(right - left, bottom - top)))
    )
    left, top, right, bottom = sized.getbbox(text[1])
    x, y = (_DRAWN * (0.5 + rng.uniform(-SHIFT, SHIFT)) for _ in range(2))
    canvas = Image.new("L", (_DRAWN, _DRAWN))
    start = (x - (left + right) / 2 - sized.getlength(text[0]), y - (top + bottom) / 2)
    ImageDraw.Draw(canvas).text(start, text, fill=255, font=sized)
    return canvas


def _turned(image: Image.Image, rng: random.Random) -> Image.Image:
    angle = math.radians(rng.uniform(-DEGREES, DEGREES))
    shear = rng.uniform(-SHEAR, SHEAR)
    a, b = math.cos(angle), math.sin(angle)
    across, down = (a, b + a * shear), (-b, a - b * shear)
    half = _DRAWN / 2
    matrix = (
        *across, half - half * sum(across),
        *down, half - half * sum(down),
    )  # fmt: skip
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def _colours(rng: random.Random) -> tuple[_Colour, _Colour]:
    """Of ground and ink, told apart by their grey."""
    while True:
        ground, ink = _colour(rng), _colour(rng)
        if abs(_grey(ground) - _grey(ink)) >= CONTRAST:
            return ground, ink


def _colour(rng: random.Random) -> _Colour:
    red, green, blue = (rng.randrange(256) for _ in range(3))
    return red, green, blue


def _grey(colour: _Colour) -> float:
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _ground(colour: _Colour, rng: random.Random) -> Image.Image:
    """From the colour to one near it, in some direction."""
    near = tuple(min(255, max(0, part + rng.randint(-40, 40))) for part in colour)
    ramp = Image.linear_gradient("L").rotate(rng.uniform(0, 360)).resize((_DRAWN, _DRAWN))
    size = (_DRAWN, _DRAWN)
    return Image.composite(Image.new("RGB", size, colour), Image.new("RGB", size, near), ramp)


def _strokes(image: Image.Image, rng: random.Random) -> None:
    """Lines behind the letters, which are none of them."""
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(0, STROKES)):
        ends = [rng.uniform(0, _DRAWN) for _ in range(4)]
        draw.line(ends, fill=_colour(rng), width=rng.randint(1, 8))


def _noisy(image: Image.Image, rng: random.Random) -> Image.Image:
    generator = np.random.default_rng(rng.getrandbits(64))
    noise = generator.normal(0, rng.uniform(0, NOISE), (SIDE, SIDE, 1))
    return Image.fromarray((np.asarray(image) + noise).round().clip(0, 255).astype(np.uint8))

"""From an image file to a small square of RGB values.

The shorter side is resized to S (bilinear, antialiased) and the centre cut out, the way the
camera was held (EXIF) heeded; transparent parts become white, 16 bits become 8, of an animation
the first frame counts. What cannot be decoded is named, never fatal.

Two pictures are the same when all their pixels are, in RGB and upright, before they are resized:
whatever the format, the compression, the palette, the turn that EXIF asks for or the other
metadata of their files.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.Image import Resampling, Transpose

from gnv2_nas.data.folders.file_kinds import identify_content
from gnv2_nas.data.value_range import ValueRange, is_deep, measure_deep_range, measure_range

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""No format whose decoder starts another program."""
_MAX_FILE_BYTES = 512 * 2**20
_MAX_PIXELS = 89_478_485
"""Pixels to decode: 256 MiB of RGB, Pillow's own limit. Large JPEGs are decoded smaller."""
_STRIP = 2**16
"""Pixels of which a copy is made at a time."""
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""EXIF orientation → what brings the image upright."""


class _UnusableError(Exception):
    """Says in a few words why an image cannot be used."""


class Decoded(NamedTuple):
    """What became of a file."""

    pixels: NDArray[np.uint8] | None
    """Shape (3, S, S); None where the image cannot be used."""
    digest: str = ""
    """Of the picture, 32 hexadecimal digits: the same for the same picture in any file."""
    reason: str = ""
    """Why the image cannot be used."""
    file_digest: str = ""
    """Of the bytes of the file, 32 hexadecimal digits."""
    values: ValueRange | None = None


class _Picture(NamedTuple):
    """An opened file."""

    rgb: Image.Image
    """As it is stored: not turned upright."""
    turn: Transpose | None
    """What brings it upright."""
    values: ValueRange | None
    whole: bool
    """Whether it has its full size."""


def decode(path: Path, side: int, *, identify: bool = True) -> Decoded:
    """Read and decode one image file.

    Args:
        side: S, pixels.
        identify: also fill in the digests and the values, for which a large JPEG is decoded at
            its full size besides.
    """
    content = b""
    try:
        content = _content(path)
        picture = _picture(content, 2 * side, identify=identify)
        pixels = _pixels(picture, side)
        if not identify:
            return Decoded(pixels)
        file_digest = hashlib.blake2b(content, digest_size=16).hexdigest()
        whole = picture if picture.whole else _whole_picture(content)
        # A picture too large to be decoded whole has no equal in another format.
        digest = file_digest if whole is None else _digest(whole)
        return Decoded(pixels, digest, "", file_digest, picture.values)
    except _UnusableError as error:
        return Decoded(None, reason=str(error))
    except Image.DecompressionBombError:
        return Decoded(None, reason="too large to decode safely")
    except UnidentifiedImageError:
        return Decoded(None, reason=_what_else(content))
    except Exception as error:
        # Decoders let errors of many types through where a file is damaged.
        return Decoded(None, reason=f"damaged: {_first_line(error)}")


@contextmanager
def silence_pillow() -> Generator[None]:
    """Pillow warns of odd images it can read all the same; nobody can do anything about that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size == 0:
            raise _UnusableError("empty file")
        if size > _MAX_FILE_BYTES:
            raise _UnusableError(f"file of {size / 2**20:,.0f} MiB")
        return path.read_bytes()
    except OSError as error:
        raise _UnusableError(f"cannot be read: {error.strerror or error}") from None


def _picture(content: bytes, shorter: int | None, *, identify: bool) -> _Picture:
    """Decode a file.

    Args:
        shorter: pixels of the shorter side that are enough; None means all there are.
        identify: look at its values as well.
    """
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        size = image.size
        if shorter is not None:
            # Only JPEG can do this: it leaves out detail that resizing would throw away.
            image.draft(None, _reduced(size, shorter))
        whole = image.size == size
        if image.width * image.height > _MAX_PIXELS:
            raise _UnusableError(f"{image.width} x {image.height} pixels, too large")
        deep = identify and is_deep(image)
        image.load()
        # Asked for now: TIFF files are upright once they are loaded, and say so.
        turn = _UPRIGHT.get(_orientation(image))
        values = measure_deep_range(image) if deep else None
        rgb = _rgb(image)
    if identify and values is None:
        values = measure_range(rgb)
    return _Picture(rgb, turn, values, whole)


def _whole_picture(content: bytes) -> _Picture | None:
    try:
        return _picture(content, None, identify=False)
    except _UnusableError:
        return None


def _digest(picture: _Picture) -> str:
    """Of width, height and all pixels, upright."""
    image = picture.rgb if picture.turn is None else picture.rgb.transpose(picture.turn)
    digest = hashlib.sha256(f"{image.width} {image.height} ".encode())
    # In strips: a copy of a whole photograph would take longer than the decoding.
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        digest.update(image.crop(box).tobytes())
    return digest.hexdigest()[:32]


def _pixels(picture: _Picture, side: int) -> NDArray[np.uint8]:
    square = _square(picture.rgb, side)
    if picture.turn is not None:
        square = square.transpose(picture.turn)
    return np.asarray(square).transpose(2, 0, 1)


def _what_else(content: bytes) -> str:
    """Why no decoder knows a file."""
    kind = identify_content(content)
    if kind is None:
        return "not an image of a known format"
    return f"by its content this is of the kind {kind.name!r}; {kind.advice}"


def _orientation(image: Image.Image) -> int:
    """1 where the image does not say, or says it in a way that cannot be read."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _reduced(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """The size with `shorter` pixels on the shorter side."""
    scale = shorter / min(size)
    return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise _UnusableError(
            "floating-point pixels, whose range is not known; scale them to 0 to 255 and save "
            "them as 8 bits"
        )
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Sixteen bits of grey; Pillow's own conversion cuts off everything above 255."""
    values = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _square(image: Image.Image, side: int) -> Image.Image:
    """The shorter side resized to `side` and the centre cut out, in one go."""
    shorter = min(image.size)
    left, top = (image.width - shorter) / 2, (image.height - shorter) / 2
    box = (left, top, left + shorter, top + shorter)
    return image.resize((side, side), Resampling.BILINEAR, box=box, reducing_gap=3.0)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

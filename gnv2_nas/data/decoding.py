"""Decodes an image file to a small square of RGB values.

The image is turned upright (EXIF), its shorter side is resized to S (bilinear, antialiased) and
the centre is cut out. Transparent parts become white, 16 bits become 8, and of an animation the
first frame is used. A file that cannot be decoded is reported, and is no error.

Two pictures are equal if all their pixels are equal, upright and in RGB, before resizing; format,
compression and metadata do not matter.
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
from gnv2_nas.errors import first_line

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats whose decoders start no other program."""
_MAX_FILE_BYTES = 512 * 2**20
_MAX_PIXELS = 89_478_485
"""256 MiB of RGB, Pillow's own limit. Large JPEGs are decoded at a reduced size."""
_STRIP = 2**16
"""Pixels that are copied at a time."""
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
"""EXIF orientation → operation that turns the image upright."""


class _UnusableError(Exception):
    """The message says why an image cannot be used."""


class Decoded(NamedTuple):
    """Result of decoding one file."""

    pixels: NDArray[np.uint8] | None
    """Shape (3, S, S); None if the image cannot be used."""
    digest: str = ""
    """Hash of the picture, 32 hexadecimal digits; equal for equal pictures in any file."""
    reason: str = ""
    """Why the image cannot be used."""
    file_digest: str = ""
    """Hash of the bytes of the file, 32 hexadecimal digits."""
    values: ValueRange | None = None


class _Picture(NamedTuple):
    """An opened file."""

    rgb: Image.Image
    """Image as stored, not turned upright."""
    turn: Transpose | None
    """Operation that turns the image upright."""
    values: ValueRange | None
    whole: bool
    """Whether the image has its full size."""


def decode(path: Path, side: int, *, identify: bool = True) -> Decoded:
    """Read and decode one image file.

    Args:
        side: S, pixels.
        identify: also compute digests and values; a large JPEG is then decoded a second time,
            at its full size.
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
        # A picture that is too large to decode whole is compared by its file.
        digest = file_digest if whole is None else _digest(whole)
        return Decoded(pixels, digest, "", file_digest, picture.values)
    except _UnusableError as error:
        return Decoded(None, reason=str(error))
    except Image.DecompressionBombError:
        return Decoded(None, reason="too large to decode safely")
    except UnidentifiedImageError:
        return Decoded(None, reason=_explain_unknown(content))
    except Exception as error:
        # Decoders raise errors of many types for damaged files.
        return Decoded(None, reason=f"damaged: {first_line(error)}")


@contextmanager
def silence_pillow() -> Generator[None]:
    """Ignore Pillow's warnings about odd images that it can read."""
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
        shorter: sufficient pixels of the shorter side; None means the full size.
        identify: also measure the range of values.
    """
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        size = image.size
        if shorter is not None:
            # Only JPEG supports this: it skips detail that resizing would remove.
            image.draft(None, _reduce_size(size, shorter))
        whole = image.size == size
        if image.width * image.height > _MAX_PIXELS:
            raise _UnusableError(f"{image.width} x {image.height} pixels, too large")
        deep = identify and is_deep(image)
        image.load()
        # Read after loading, because loading turns TIFF files upright and resets this.
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
    """Hash width, height and all pixels, upright."""
    image = picture.rgb if picture.turn is None else picture.rgb.transpose(picture.turn)
    digest = hashlib.sha256(f"{image.width} {image.height} ".encode())
    # In strips, because copying a whole photograph takes longer than decoding it.
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


def _explain_unknown(content: bytes) -> str:
    """Say why no decoder can read a file."""
    kind = identify_content(content)
    if kind is None:
        return "not an image of a known format"
    return f"the content is of the kind {kind.name!r}; {kind.advice}"


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1 if it is missing or invalid."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1


def _reduce_size(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Size with `shorter` pixels on the shorter side."""
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
    """Scale 16 bits of grey to 8; Pillow's own conversion clips at 255."""
    values = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def _square(image: Image.Image, side: int) -> Image.Image:
    """Resize the shorter side to `side` and cut out the centre, in one step."""
    shorter = min(image.size)
    left, top = (image.width - shorter) / 2, (image.height - shorter) / 2
    box = (left, top, left + shorter, top + shorter)
    return image.resize((side, side), Resampling.BILINEAR, box=box, reducing_gap=3.0)

"""From files of every kind to squares of RGB values."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gnv2_nas.data.decoding import decode, silence_pillow
from tests.data.pictures import noise

SIDE = 8


def pixels(path: Path, side: int = SIDE) -> NDArray[np.int64]:
    """Decoded, shape (3, S, S)."""
    with silence_pillow():
        decoded = decode(path, side)
    assert decoded.pixels is not None, decoded.reason
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.shape == (3, side, side)
    return decoded.pixels.astype(np.int64)


def reason(path: Path) -> str:
    """Why a file cannot be used."""
    with silence_pillow():
        decoded = decode(path, SIDE)
    assert decoded.pixels is None
    assert "\n" not in decoded.reason
    return decoded.reason


def plain(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (12, 10), colour)  # type: ignore[arg-type]


def half_transparent_palette() -> Image.Image:
    image = Image.new("P", (12, 10), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.info["transparency"] = bytes([255, 128])
    return image


def sixteen_bits(value: int) -> Image.Image:
    return Image.fromarray(np.full((10, 12), value, np.uint16))


@pytest.mark.parametrize(
    ("image", "suffix", "expected"),
    [
        (plain("RGB", (200, 100, 50)), "png", (200, 100, 50)),
        (plain("RGB", (200, 100, 50)), "jpg", (200, 100, 50)),
        (plain("RGB", (200, 100, 50)), "webp", (200, 100, 50)),
        (plain("RGB", (200, 100, 50)), "bmp", (200, 100, 50)),
        (plain("RGB", (200, 100, 50)), "tif", (200, 100, 50)),
        (plain("RGB", (200, 100, 50)), "ppm", (200, 100, 50)),
        (plain("L", 77), "png", (77, 77, 77)),
        (plain("L", 77), "jpg", (77, 77, 77)),
        (plain("1", 1), "png", (255, 255, 255)),
        (plain("CMYK", (0, 255, 255, 0)), "jpg", (255, 0, 0)),
        (plain("CMYK", (0, 255, 255, 0)), "tif", (255, 0, 0)),
        (plain("RGBA", (255, 0, 0, 255)), "png", (255, 0, 0)),
        (plain("RGBA", (255, 0, 0, 128)), "png", (255, 127, 127)),
        (plain("RGBA", (255, 0, 0, 0)), "webp", (255, 255, 255)),
        (plain("LA", (0, 128)), "png", (127, 127, 127)),
        (plain("RGB", (10, 200, 10)).quantize(4), "gif", (10, 200, 10)),
        (plain("RGB", (10, 200, 10)).quantize(4), "png", (10, 200, 10)),
        (half_transparent_palette(), "png", (127, 127, 255)),
        (sixteen_bits(65535), "png", (255, 255, 255)),
        (sixteen_bits(100 * 257), "png", (100, 100, 100)),
        (sixteen_bits(100 * 257), "tif", (100, 100, 100)),
        (plain("I", 100 * 257), "tif", (100, 100, 100)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else str(value),
)
def test_colours_of_every_mode(
    tmp_path: Path, image: Image.Image, suffix: str, expected: tuple[int, int, int]
) -> None:
    path = tmp_path / f"image.{suffix}"
    image.save(path)
    difference = pixels(path) - np.array(expected)[:, None, None]
    assert np.abs(difference).max() <= 3


def test_transparent_colour_of_a_grey_image(tmp_path: Path) -> None:
    plain("L", 20).save(tmp_path / "image.png", transparency=20)
    assert pixels(tmp_path / "image.png").min() == 255


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [plain("RGB", "red"), plain("RGB", "blue")]
    frames[0].save(tmp_path / "image.gif", save_all=True, append_images=frames[1:])
    assert pixels(tmp_path / "image.gif")[:, 4, 4].tolist() == [255, 0, 0]


def test_centre_is_cut_out(tmp_path: Path) -> None:
    image = Image.new("RGB", (60, 20), "red")
    image.paste("blue", (20, 0, 40, 20))
    image.save(tmp_path / "wide.png")
    image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "tall.png")
    for name in ("wide.png", "tall.png"):
        square = pixels(tmp_path / name, 20)
        assert square[2].min() == 255
        assert square[0].max() == 0


def test_equals_pillows_resize_and_crop(tmp_path: Path) -> None:
    image = noise(1, 48, 32)
    image.save(tmp_path / "image.png")
    resized = image.resize((24, 16), Image.Resampling.BILINEAR).crop((4, 0, 20, 16))
    expected = np.asarray(resized).transpose(2, 0, 1)
    assert np.abs(pixels(tmp_path / "image.png", 16) - expected).max() <= 1


def test_fine_patterns_are_averaged_when_shrunk(tmp_path: Path) -> None:
    board = np.indices((256, 256)).sum(0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "board.png")
    assert np.abs(pixels(tmp_path / "board.png") - 127).max() <= 2


def test_a_strip_takes_no_more_than_its_middle(tmp_path: Path) -> None:
    Image.new("RGB", (20_000, 1), "red").save(tmp_path / "strip.png")
    assert pixels(tmp_path / "strip.png", 64)[0].min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_heeded(tmp_path: Path, orientation: int) -> None:
    image = noise(2, 16, 16)
    path = tmp_path / "image.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(path, exif=exif)
    # EXIF 2.3: which corner of the picture the stored rows and columns begin in.
    upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a),
    }[orientation]
    expected = upright(np.asarray(image)).transpose(2, 0, 1)
    assert np.array_equal(pixels(path, 16), expected)


def test_large_jpeg_is_decoded_small(tmp_path: Path) -> None:
    # More pixels than are decoded of any image: only smaller can this one be read.
    image = Image.new("L", (10_000, 9_000), 255)
    image.paste(100, (3_000, 2_000, 7_000, 7_000))
    image.save(tmp_path / "image.jpg")
    square = pixels(tmp_path / "image.jpg", 32)[0]
    assert abs(square[16, 16] - 100) <= 3
    assert square[0, 0] >= 252


def test_damaged_orientation_does_not_matter(tmp_path: Path) -> None:
    plain("RGB", "red").save(tmp_path / "image.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert pixels(tmp_path / "image.jpg")[0].min() >= 250


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "image.png").touch()
    assert reason(tmp_path / "image.png") == "empty file"


def test_file_that_is_gone(tmp_path: Path) -> None:
    assert "No such file" in reason(tmp_path / "image.png")


def test_text_with_the_name_of_an_image(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_text("404 not found\n")
    assert reason(tmp_path / "image.png") == "not an image of a known format"


def test_formats_that_start_programs_are_not_known(tmp_path: Path) -> None:
    (tmp_path / "image.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert reason(tmp_path / "image.png") == "not an image of a known format"


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tif"])
def test_truncated_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"image.{suffix}"
    noise(3, 64, 64).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert reason(path)


def test_bytes_changed_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.linear_gradient("L").save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8] = bytes(8)
    path.write_bytes(content)
    assert reason(path).startswith("damaged")


def test_floating_point_pixels(tmp_path: Path) -> None:
    plain("F", 0.5).save(tmp_path / "image.tif")
    assert "floating-point" in reason(tmp_path / "image.tif")


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims a size and holds hardly anything."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )  # fmt: skip


@pytest.mark.parametrize("side", [10_000, 50_000])
def test_decompression_bomb(tmp_path: Path, side: int) -> None:
    (tmp_path / "image.png").write_bytes(png_header(side, side))
    assert "too large" in reason(tmp_path / "image.png")


def test_digest_tells_contents_apart(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        noise(seed).save(tmp_path / f"{name}.png")
    a, b, c = (decode(tmp_path / f"{name}.png", SIDE).digest for name in "abc")
    assert a == b != c

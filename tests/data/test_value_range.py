"""Images that use a small part of their range are said to become nearly black."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gnv2_nas.data import load_dataset
from gnv2_nas.data.value_range import ValueRange, describe_ranges, measure_deep_range

SIDE = 8


def values_to(largest: int, seed: int, *shape: int) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, largest + 1, (10, 12, *shape))
    values.flat[0], values.flat[-1] = 0, largest
    return values


def save_grey_png(path: Path, largest: int, seed: int) -> None:
    Image.fromarray(values_to(largest, seed).astype(np.uint16)).save(path)


def save_grey_tiff(path: Path, largest: int, seed: int) -> None:
    Image.fromarray(values_to(largest, seed).astype(np.uint16)).save(path.with_suffix(".tif"))


def save_big_endian_tiff(path: Path, largest: int, seed: int) -> None:
    image = Image.frombytes("I;16B", (12, 10), values_to(largest, seed).astype(">u2").tobytes())
    image.save(path.with_suffix(".tif"))


def save_long_tiff(path: Path, largest: int, seed: int) -> None:
    Image.fromarray(values_to(largest, seed).astype(np.int32)).save(path.with_suffix(".tif"))


def save_rgb_png(path: Path, largest: int, seed: int) -> None:
    """Sixteen bits of each colour, which Pillow reads and does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values_to(largest, seed, 3))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 10, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )  # fmt: skip


SAVES = [save_grey_png, save_grey_tiff, save_big_endian_tiff, save_long_tiff, save_rgb_png]


def warnings_of(root: Path, save, largest: int, count: int = 10) -> list[str]:
    for place, name in enumerate("ab"):
        (root / name).mkdir(parents=True)
        for number in range(count):
            save(root / name / f"{number}.png", largest, 100 * place + number)
    lines = load_dataset(str(root), SIDE).report.lines()
    return [line for line in lines if "fewer than" not in line and line.startswith("warning")]


@pytest.mark.parametrize("save", SAVES)
def test_twelve_bits_in_sixteen(tmp_path: Path, save) -> None:
    (line,) = warnings_of(tmp_path, save, 4095)
    assert "20 of 20 images of 16 bits or more have no value above 4,095" in line
    assert "data of 12 bits" in line
    assert "multiply their values by 16" in line
    assert load_dataset(str(tmp_path), SIDE).report.warnings  # remembered


@pytest.mark.parametrize("save", SAVES)
def test_all_sixteen_bits(tmp_path: Path, save) -> None:
    assert warnings_of(tmp_path, save, 65535) == []


@pytest.mark.parametrize(
    ("largest", "bits", "factor"), [(1023, 10, 64), (3000, 12, 16), (16383, 14, 4), (255, 8, 256)]
)
def test_bits_and_factor(largest: int, bits: int, factor: int) -> None:
    (line,) = describe_ranges([ValueRange(True, 0, largest)] * 3)
    assert f"data of {bits} bits" in line
    assert f"values by {factor}," in line


def test_a_tenth_may_be_dark() -> None:
    dark, light = ValueRange(True, 0, 4000), ValueRange(True, 0, 60_000)
    assert describe_ranges([dark] + [light] * 9) == ()
    assert len(describe_ranges([dark] * 2 + [light] * 8)) == 1


def test_images_of_eight_bits_do_not_hide_deep_ones() -> None:
    ranges = [ValueRange(False, 0, 255)] * 50 + [ValueRange(True, 0, 4095)] * 3
    (line,) = describe_ranges(ranges)
    assert "3 of 3" in line


def test_alpha_does_not_hide_a_dim_picture() -> None:
    dim = Image.merge("LA", (Image.new("L", (2, 2), 15), Image.new("L", (2, 2), 255)))
    assert measure_deep_range(dim) == ValueRange(True, 0, 4095)


def save_mask(path: Path, largest: int, seed: int) -> None:
    Image.fromarray(values_to(largest, seed).astype(np.uint8)).save(path)


def test_masks(tmp_path: Path) -> None:
    (line,) = warnings_of(tmp_path, save_mask, 1)
    assert "20 of 20 images of 8 bits have no value above 1 of 255" in line
    assert "stretch" in line


def test_pictures_of_eight_bits(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, save_mask, 90) == []


def test_black_on_transparent_is_no_black_picture(tmp_path: Path) -> None:
    def save(path: Path, _: int, seed: int) -> None:
        alpha = Image.fromarray(values_to(255, seed).astype(np.uint8))
        image = Image.new("RGBA", alpha.size)
        image.putalpha(alpha)
        image.save(path)

    assert warnings_of(tmp_path, save, 255) == []


def test_values_that_are_cut_off(tmp_path: Path) -> None:
    def save(path: Path, largest: int, seed: int) -> None:
        values = values_to(largest, seed).astype(np.int32) - 1000
        Image.fromarray(values).save(path.with_suffix(".tif"))

    (line,) = warnings_of(tmp_path, save, 100_000)
    assert "20 images have values from -1,000 to 99,000" in line
    assert "cut off" in line

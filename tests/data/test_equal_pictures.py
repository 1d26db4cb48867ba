"""The same picture is the same in whatever file it is: for splitting, and for the warning."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gnv2_nas.data import load_dataset
from gnv2_nas.data.decoding import decode, silence_pillow
from tests.data.pictures import noise, write_class, write_classes

SIDE = 8


def digest(path: Path, side: int = SIDE) -> str:
    with silence_pillow():
        decoded = decode(path, side)
    assert decoded.pixels is not None, decoded.reason
    assert decoded.digest
    return decoded.digest


def few_colours() -> Image.Image:
    return noise(1).quantize(16).convert("RGB")


def upright_by_exif(image: Image.Image, orientation: int, path: Path) -> None:
    """A file whose rows are stored another way, with a note of how to turn them."""
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.transpose(stored).save(path, exif=exif)


def opaque(image: Image.Image) -> Image.Image:
    image.putalpha(255)
    return image


def hidden_colours(image: Image.Image, seed: int) -> Image.Image:
    """The upper half is transparent, and another picture is behind it."""
    values = np.asarray(image.convert("RGBA")).copy()
    values[:8, :, :3] = np.asarray(noise(seed))[:8]
    values[:8, :, 3] = 0
    return Image.fromarray(values)


def lzw(image: Image.Image) -> Save:
    return lambda path: image.save(path, compression="tiff_lzw")


Save = Callable[[Path], object]
IN_OTHER_FILES: dict[str, tuple[str, Save, str, Save]] = {
    "bmp": ("png", noise(1).save, "bmp", noise(1).save),
    "tiff": ("png", noise(1).save, "tif", noise(1).save),
    "packed tiff": ("tif", noise(1).save, "tif", lzw(noise(1))),
    "webp": ("png", noise(1).save, "webp", lambda p: noise(1).save(p, lossless=True)),
    "ppm": ("png", noise(1).save, "ppm", noise(1).save),
    "compression": ("png", noise(1).save, "png", lambda p: noise(1).save(p, compress_level=1)),
    "metadata": ("png", noise(1).save, "png", lambda p: noise(1).save(p, dpi=(300, 300))),
    "palette": ("png", few_colours().save, "png", few_colours().quantize(16).save),
    "gif": ("png", few_colours().save, "gif", few_colours().quantize(16).save),
    "opaque": ("png", noise(1).save, "png", opaque(noise(1)).save),
    "hidden": ("png", hidden_colours(noise(1), 2).save, "png", hidden_colours(noise(1), 3).save),
    "grey": ("png", noise(1).convert("L").save, "png", noise(1).convert("L").convert("RGB").save),
    "bilevel": ("png", noise(1).convert("1").save, "bmp", noise(1).convert("1").convert("L").save),
    **{
        f"turned {number} {suffix}": (
            "png", noise(1).save, suffix, lambda p, n=number: upright_by_exif(noise(1), n, p)
        )
        for number in range(2, 9)
        for suffix in ("png", "tif")
    },
}  # fmt: skip


@pytest.mark.parametrize("case", IN_OTHER_FILES)
def test_same_picture_in_another_file(tmp_path: Path, case: str) -> None:
    first, save, second, save_again = IN_OTHER_FILES[case]
    one, other = tmp_path / f"one.{first}", tmp_path / f"other.{second}"
    save(one)
    save_again(other)
    assert one.read_bytes() != other.read_bytes()
    assert digest(one) == digest(other)


@pytest.mark.parametrize("side", [8, 300])
def test_jpeg_and_what_is_decoded_of_it(tmp_path: Path, side: int) -> None:
    # At side 8 the JPEG is decoded at an eighth of its size to train on it.
    noise(1, 20, 16).resize((640, 512)).save(tmp_path / "photo.jpg")
    with Image.open(tmp_path / "photo.jpg") as photo:
        photo.save(tmp_path / "photo.png")
    # A comment behind the mark that begins the file.
    stored = (tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "other.jpg").write_bytes(stored[:2] + b"\xff\xfe\0\x07hello" + stored[2:])
    content = digest(tmp_path / "photo.jpg", side)
    assert digest(tmp_path / "photo.png", side) == content
    assert digest(tmp_path / "other.jpg", side) == content


def test_pictures_that_differ_in_one_pixel_or_in_shape(tmp_path: Path) -> None:
    values = np.asarray(noise(1)).copy()
    Image.fromarray(values).save(tmp_path / "a.png")
    Image.fromarray(values.reshape(8, 40, 3)).save(tmp_path / "b.png")
    values[3, 5, 1] ^= 1
    Image.fromarray(values).save(tmp_path / "c.png")
    assert len({digest(tmp_path / f"{name}.png") for name in "abc"}) == 3


def resave(source: Path, target: Path, suffix: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        with Image.open(path) as image:
            image.save(target / f"{path.stem}.{suffix}")


def stems(names: list[str]) -> set[str]:
    return {name.rpartition(".")[0] for name in names}


def test_copies_in_another_format_fall_on_one_side(tmp_path: Path) -> None:
    write_classes(tmp_path, a=12, b=12)
    for name in "ab":
        resave(tmp_path / name, tmp_path / name, "bmp")
    for seed in range(3):
        dataset = load_dataset(str(tmp_path), SIDE, seed=seed)
        train, val = stems(list(dataset.train.names)), stems(list(dataset.val.names))
        assert len(train) + len(val) == 24
        assert not train & val
        assert "equal" not in "\n".join(dataset.report.lines())


def test_copies_in_another_format_on_both_given_sides(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", a=12, b=12)
    resave(tmp_path / "train" / "a", tmp_path / "val" / "a", "bmp")
    write_class(tmp_path / "val" / "b", 3, first=7000)
    for _ in range(2):  # decoded, then remembered
        warnings = "\n".join(load_dataset(str(tmp_path), SIDE).report.lines())
        assert "12 held-out images are equal to training images" in warnings
        assert "'val/a/0.bmp' to 'train/a/0.png'" in warnings


def test_copies_in_another_format_under_two_classes(tmp_path: Path) -> None:
    write_classes(tmp_path, cat=12, dog=12)
    noise(3).save(tmp_path / "dog" / "cat.webp", lossless=True)
    noise(4).save(tmp_path / "dog" / "cat.tif")
    warnings = "\n".join(load_dataset(str(tmp_path), SIDE).report.lines())
    assert "equal to an image of another class" in warnings
    assert "and so are 1 more" in warnings


def test_larger_set_knows_equal_pictures_too(tmp_path: Path) -> None:
    write_classes(tmp_path, a=12, b=12)
    resave(tmp_path / "a", tmp_path / "b" / "more", "bmp")
    dataset = load_dataset(str(tmp_path), SIDE, seed=0, stored_bytes=100)
    assert "another class" in "\n".join(dataset.report.lines())


@pytest.mark.parametrize(
    ("folders", "count", "content_hash"),
    [
        (["train/a", "train/b", "val/a", "val/b"], 1, "31fc87e00675"),
        (["a", "b"], 8, "be63825ebe89"),
    ],
)
def test_folders_without_copies_are_split_as_by_earlier_versions(
    tmp_path: Path, folders: list[str], count: int, content_hash: str
) -> None:
    for name in folders:
        (tmp_path / name).mkdir(parents=True)
        for number in range(count):
            # Bytes that no library decides about.
            image = f"P6 2 1 255\n{name}{number}".encode().ljust(17, b"#")
            (tmp_path / name / f"{number}.ppm").write_bytes(image)
    assert load_dataset(str(tmp_path), SIDE).content_hash == content_hash


def test_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_classes(tmp_path, a=5, b=5)
    shutil.rmtree(tmp_path / "b")
    write_class(tmp_path / "b", 5, first=50)
    opened: list[object] = []
    open_image = Image.open
    monkeypatch.setattr(
        Image, "open", lambda *args, **more: opened.append(args) or open_image(*args, **more)
    )
    load_dataset(str(tmp_path), SIDE)
    assert len(opened) == 10
    load_dataset(str(tmp_path), SIDE)
    assert len(opened) == 10

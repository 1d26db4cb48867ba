"""Files that are not used are told by kind and class, with what to do about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gnv2_nas.data import load_dataset
from gnv2_nas.data.decoding import decode
from gnv2_nas.data.folders.file_kinds import identify_content, identify_suffix
from gnv2_nas.data.folders.source import check_source, scan_folder
from gnv2_nas.errors import DataError
from tests.data.pictures import write_class, write_classes

SIDE = 8


def lines_of(root: Path) -> list[str]:
    return load_dataset(str(root), SIDE).report.lines()


def add(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"something")


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".heic", "HEIC"), (".HEIC", "HEIC"), (".heif", "HEIC"), (".avif", "AVIF"),
        (".jxl", "JPEG XL"), (".jp2", "JPEG 2000"), (".CR2", "camera raw"), (".nef", "camera raw"),
        (".dng", "camera raw"), (".psd", "layered"), (".svg", "drawings"), (".pdf", "documents"),
        (".mp4", "video"), (".dcm", "medical"), (".npy", "arrays"), (".zip", "archives"),
        (".exr", "high dynamic range"), (".tga", "ImageMagick"), (".part", "unfinished"),
        ("", "without a suffix"), (".jpg_large", "more text after the suffix"), (".png~", "rename"),
    ],
)  # fmt: skip
def test_pictures_that_are_not_read(tmp_path: Path, suffix: str, kind: str) -> None:
    write_classes(tmp_path, cat=20, dog=12)
    add(tmp_path, *(f"cat/x{number}{suffix}" for number in range(15)), f"dog/deep/x{suffix}")
    (line,) = (line for line in lines_of(tmp_path) if "set aside" in line)
    assert line.startswith(f"warning: set aside: 16 {suffix.lower() or 'no suffix'} ")
    assert "15 of 35 in 'cat', 1 of 13 in 'dog'" in line
    assert kind in line


def test_notes_are_counted_and_no_warning(tmp_path: Path) -> None:
    write_classes(tmp_path, cat=12, dog=12)
    add(tmp_path, "cat/labels.csv", "cat/notes.txt", "dog/notes.txt")
    assert lines_of(tmp_path)[1] == (
        "3 files ignored: no images by their names: "
        "2 .txt (1 of 14 in 'cat', 1 of 13 in 'dog'); 1 .csv (1 of 14 in 'cat')"
    )
    assert not any("warning" in line for line in lines_of(tmp_path))


def test_what_systems_leave_behind_is_silent(tmp_path: Path) -> None:
    write_classes(tmp_path, cat=12, dog=12)
    add(tmp_path, "cat/.DS_Store", "cat/._0.png", "dog/Thumbs.db", "dog/desktop.ini")
    add(tmp_path, "__MACOSX/cat/._1.png", "dog/__MACOSX/x.png", "dog/@eaDir/1.png", "Thumbs.db")
    assert len(lines_of(tmp_path)) == 1


def test_links_to_nothing(tmp_path: Path) -> None:
    write_classes(tmp_path, cat=12, dog=12)
    (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (line,) = (line for line in lines_of(tmp_path) if "set aside" in line)
    assert "1 link to nothing" in line


def test_images_beside_the_class_folders(tmp_path: Path) -> None:
    write_classes(tmp_path, cat=12, dog=12)
    add(tmp_path, "1.jpg", "2.JPG", "readme.txt")
    assert (
        f"warning: 2 images lie in {str(tmp_path)!r} itself, in no class folder; they are not used"
        in (lines_of(tmp_path))
    )


@pytest.mark.parametrize("name", ["val", "validation", "Test", "test_images"])
def test_held_out_images_without_classes_are_named(tmp_path: Path, name: str) -> None:
    write_classes(tmp_path / "train", cat=12, dog=12)
    write_class(tmp_path / name, 7, first=500)
    (line,) = (line for line in lines_of(tmp_path) if "not used" in line)
    assert line.startswith(f"warning: {str(tmp_path / name)!r} is not used: its 7 images")
    assert "held out instead" in line


def test_held_out_images_in_a_plain_folder(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", cat=12, dog=12)
    write_class(tmp_path / "val" / "images", 7, first=500)
    assert any("its 7 images are in no class folders" in line for line in lines_of(tmp_path))


@pytest.mark.parametrize(
    ("others", "found"), [([], ""), (["val/1.heic"], " (other files: 1 .heic; convert them")]
)
def test_held_out_folder_without_images_is_named(
    tmp_path: Path, others: list[str], found: str
) -> None:
    write_classes(tmp_path / "train", cat=12, dog=12)
    (tmp_path / "val").mkdir()
    add(tmp_path, *others)
    (line,) = (line for line in lines_of(tmp_path) if "not used" in line)
    assert f"it holds no images{found}" in line
    assert "held out instead" in line


def test_class_of_other_files_only_says_which(tmp_path: Path) -> None:
    write_classes(tmp_path, cat=3)
    add(tmp_path, "dog/1.heic", "dog/2.heic", "dog/x.txt")
    with pytest.raises(DataError) as caught:
        check_source(str(tmp_path))
    message = str(caught.value)
    assert "'dog' has fewer (other files: 2 .heic, 1 .txt; convert them" in message
    assert "\n" not in message


def test_more_suffixes_of_formats_that_are_read(tmp_path: Path) -> None:
    add(tmp_path, "a/1.JPE", "a/2.pnm", "b/1.pbm", "b/2.jfif")
    folder = scan_folder(str(tmp_path))
    assert len(folder.train) == 4
    assert folder.ignored == 0


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", "AVIF"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "video"),
        (b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a", "JPEG XL"),
        (b"8BPS\0\1\0\0", "layered images"),
        (b"%PDF-1.7\n", "documents"),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="http://x">', "drawings"),
        (b"\n <!DOCTYPE html><html>404", "web pages"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "pointers of Git LFS"),
        (b"\0" * 128 + b"DICM\2\0", "medical images"),
        (b"PK\x03\x04\x14\0", "archives"),
    ],
)
def test_content_that_the_suffix_hides(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    decoded = decode(path, SIDE)
    assert decoded.pixels is None
    found = identify_content(content)
    assert found is not None
    assert found.name == kind
    assert kind in decoded.reason
    assert found.advice in decoded.reason


def test_mere_notes_have_no_kind() -> None:
    assert [identify_suffix(suffix) for suffix in (".txt", ".csv", ".json", ".xml")] == [None] * 4
    assert identify_content(b"404 not found") is None

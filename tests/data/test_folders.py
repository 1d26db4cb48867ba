"""What a source holds, by names alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gnv2_nas.data.folders.source import check_source, find_classes, scan_folder
from gnv2_nas.errors import DataError
from tests.confined import confined


def write_files(root: Path, *names: str) -> Path:
    """Files without content: none is opened here."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names_of(root: Path) -> list[str]:
    return [file.name for file in scan_folder(str(root)).train]


def test_classes_are_sorted_and_labels_follow(tmp_path: Path) -> None:
    write_files(tmp_path, "dog/1.jpg", "dog/2.jpg", "cat/2.webp", "cat/1.PNG")
    folder = scan_folder(str(tmp_path))
    assert folder.classes == find_classes(str(tmp_path)) == ("cat", "dog")
    assert folder.train == (("cat/1.PNG", 0), ("cat/2.webp", 0), ("dog/1.jpg", 1), ("dog/2.jpg", 1))
    assert folder.val is None


def test_digits_need_no_folder() -> None:
    check_source("digits")
    assert find_classes("digits") == tuple("0123456789")


@pytest.mark.parametrize("held_out", ["val", "valid", "validation", "test"])
def test_given_split(tmp_path: Path, held_out: str) -> None:
    write_files(tmp_path, "train/a/1.png", "train/b/1.png", f"{held_out}/a/2.png")
    write_files(tmp_path, f"{held_out}/b/2.png", "annotations/notes.txt")
    folder = scan_folder(str(tmp_path))
    assert [file.name for file in folder.train] == ["train/a/1.png", "train/b/1.png"]
    assert folder.val == ((f"{held_out}/a/2.png", 0), (f"{held_out}/b/2.png", 1))


def test_validation_images_come_before_test_images(tmp_path: Path) -> None:
    write_files(tmp_path, *(f"{side}/{name}/1.png" for side in ("train", "val", "test")
                            for name in "ab"))  # fmt: skip
    val = scan_folder(str(tmp_path)).val
    assert val is not None
    assert {file.name.split("/")[0] for file in val} == {"val"}


def test_test_images_without_classes_are_not_held_out(tmp_path: Path) -> None:
    write_files(tmp_path, "train/a/1.png", "train/a/2.png", "train/b/1.png", "train/b/2.png")
    write_files(tmp_path, "test/1.png", "test/2.png")
    assert scan_folder(str(tmp_path)).val is None
    assert len(names_of(tmp_path)) == 4


def test_a_class_called_train(tmp_path: Path) -> None:
    write_files(tmp_path, *(f"{name}/{n}.jpg" for name in ("bus", "train", "car") for n in "12"))
    assert find_classes(str(tmp_path)) == ("bus", "car", "train")


def test_images_below_the_class_folder(tmp_path: Path) -> None:
    write_files(tmp_path, "a/2023/1.png", "a/2024/may/1.png", "b/1.png", "b/2.png")
    assert names_of(tmp_path)[:2] == ["a/2023/1.png", "a/2024/may/1.png"]


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    write_files(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.png", "notes.txt")
    write_files(tmp_path, ".git/x.png", "a/.DS_Store", "a/._1.png", "__MACOSX/a/1.png")
    write_files(tmp_path, "a/labels.csv", "b/Thumbs.db")
    folder = scan_folder(str(tmp_path))
    assert folder.classes == ("a", "b")
    assert len(folder.train) == 4
    assert folder.ignored == 1


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    write_files(tmp_path / "data", "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    write_files(tmp_path / "elsewhere", "3.png")
    loop = tmp_path / "data" / "a"
    (loop / "more").symlink_to(tmp_path / "elsewhere")
    (loop / "up").symlink_to(loop)
    (loop / "itself.png").symlink_to(loop / "itself.png")
    (loop / "gone.png").symlink_to(tmp_path / "nothing.png")
    names = names_of(tmp_path / "data")
    assert names == ["a/1.png", "a/2.png", "a/more/3.png", "b/1.png", "b/2.png"]


def test_pipes_are_not_waited_on(tmp_path: Path) -> None:
    write_files(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    os.mkfifo(tmp_path / "a" / "3.png")
    assert len(names_of(tmp_path)) == 4


def refusal(source: Path) -> str:
    with pytest.raises(DataError) as caught:
        check_source(str(source))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_no_such_folder(tmp_path: Path) -> None:
    assert "no folder" in refusal(tmp_path / "nowhere")


def test_a_file(tmp_path: Path) -> None:
    write_files(tmp_path, "images.zip")
    assert "is a file" in refusal(tmp_path / "images.zip")


def test_no_class_folders(tmp_path: Path) -> None:
    write_files(tmp_path, "1.png", "2.png")
    assert "no class folders" in refusal(tmp_path)


def test_one_class(tmp_path: Path) -> None:
    assert "'a'" in refusal(write_files(tmp_path, "a/1.png", "a/2.png"))


def test_no_images_names_what_there_is(tmp_path: Path) -> None:
    message = refusal(write_files(tmp_path, "a/1.heic", "a/2.HEIC", "b/1.heic"))
    assert "no images" in message
    assert "3 .heic" in message


def test_class_without_enough_images(tmp_path: Path) -> None:
    write_files(tmp_path, "a/1.png", "a/2.png", "bird/1.png")
    assert "'bird'" in refusal(tmp_path)


def test_given_split_needs_every_class_on_both_sides(tmp_path: Path) -> None:
    write_files(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "val/b/notes.txt")
    message = refusal(tmp_path)
    assert "'b'" in message
    assert "val" in message


def test_labels_that_differ_between_splits(tmp_path: Path) -> None:
    write_files(tmp_path, "train/cat/1.png", "train/dog/1.png", "val/cat/2.png", "val/dogs/2.png")
    message = refusal(tmp_path)
    assert "'dog' only in 'train'" in message
    assert "'dogs' only in 'val'" in message


def test_class_name_that_is_no_text(tmp_path: Path) -> None:
    write_files(tmp_path, "a/1.png", "a/2.png")
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")  # noqa: PTH102 - not a text
    assert "UTF-8" in refusal(tmp_path)


@pytest.mark.parametrize("locked", ["b/deep", "b", "", ".."])
def test_folder_that_may_not_be_read(tmp_path: Path, locked: str) -> None:
    source = tmp_path / "outer" / "images"
    write_files(source, "a/1.png", "a/2.png", "b/1.png", "b/deep/2.png")
    (source / locked).resolve().chmod(0)
    code = (
        "from gnv2_nas.errors import DataError\n"
        "from gnv2_nas.data.folders.source import check_source\n"
        f"try: check_source({str(source)!r})\n"
        "except DataError as error: print(error)"
    )
    done = subprocess.run(
        confined([sys.executable, "-c", code]), capture_output=True, text=True, check=True
    )
    assert "cannot be read: Permission denied" in done.stdout
    (source / locked).resolve().chmod(0o700)


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    write_files(tmp_path, "a/1.png", "a/2.png", "b/1.png", "b/2.png")
    code = (
        "import sys; from gnv2_nas.data.folders.source import check_source, find_classes;"
        f"check_source({str(tmp_path)!r}); find_classes('digits');"
        "print(*{'torch', 'numpy', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

"""Folders that look like a split are one, or are refused with what to rename."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from gnv2_nas.data.folders.source import ImageFolder, scan_folder
from gnv2_nas.data.folders.split_names import NO_SIDE, TRAIN, parse_split_name
from gnv2_nas.errors import DataError


def write(root: Path, folders: Iterable[str], count: int = 2) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (root / folder / f"{number}.jpg").touch()
    return root


def sides(*names: str, classes: tuple[str, ...] = ("cat", "dog")) -> list[str]:
    return [f"{name}/{each}" for name in names for each in classes]


def refusal(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        scan_folder(str(root))
    message = str(caught.value)
    assert "\n" not in message
    return message


def folders_of(folder: ImageFolder) -> tuple[set[str], set[str] | None]:
    train, val = (
        None if files is None else {file.name.split("/")[0] for file in files}
        for files in (folder.train, folder.val)
    )
    assert train is not None
    return train, val


@pytest.mark.parametrize(
    ("train", "held_out"),
    [
        ("Training", "Testing"), ("TRAIN", "VALID"), ("Train", "test"), ("train_images", "val"),
        ("train2017", "val2017"), ("training_set", "test_set"), ("TrainSet", "TestSet"),
        ("trainset", "testset"), ("Training Data", "Validation Data"), ("train", "dev"),
        ("train", "eval"), ("train", "holdout"), ("train", "hold-out"), ("train", "held_out"),
        ("01_train", "02_test"), ("seg_train", "seg_test"), ("pets-train", "pets-valid"),
        ("images_train", "images_test"), ("train_split", "validation_split"), ("trainval", "test"),
    ],
)  # fmt: skip
def test_usual_names_are_a_split(tmp_path: Path, train: str, held_out: str) -> None:
    folder = scan_folder(str(write(tmp_path, sides(train, held_out))))
    assert folder.classes == ("cat", "dog")
    assert folders_of(folder) == ({train}, {held_out})
    assert len(folder.train) == len(folder.val or ()) == 4


@pytest.mark.parametrize(
    "name",
    [
        "trainer", "trains", "latest", "contest", "value", "evil", "steam train", "test tube",
        "device", "valley", "developer", "retrained", "train_test_split", "invalid",
    ],
)  # fmt: skip
def test_other_names_are_no_side(name: str) -> None:
    side, rest = parse_split_name(name)
    assert side == NO_SIDE or rest


def test_training_is_the_first_side() -> None:
    assert (
        parse_split_name("Training").side
        == TRAIN
        < parse_split_name("val").side
        < parse_split_name("test").side
    )


def test_test_images_are_left_alone_where_there_are_validation_images(tmp_path: Path) -> None:
    write(tmp_path, [*sides("Train", "Val", "Test"), "unlabeled"])
    folder = scan_folder(str(tmp_path))
    assert folders_of(folder) == ({"Train"}, {"Val"})
    assert folder.notes == ("other folders are not used: 'Test', 'unlabeled'",)


@pytest.mark.parametrize("beside", [[], ["unlabeled"], ["annotations"]])
def test_training_images_alone_are_split(tmp_path: Path, beside: list[str]) -> None:
    folder = scan_folder(str(write(tmp_path, [*sides("Training"), *beside])))
    assert folder.classes == ("cat", "dog")
    assert folders_of(folder) == ({"Training"}, None)


@pytest.mark.parametrize(
    "names",
    [
        ["bus", "car", "train"],
        ["car", "test", "train"],
        ["control", "test"],
        ["bus/city", "bus/tour", "car/old", "train/freight", "train/steam"],
        ["bus/2023", "train/2023"],
        ["train", "trainer"],
        ["dev board", "test tube", "train station"],
        ["cat_train", "dog_train"],
    ],
)
def test_classes_with_such_names(tmp_path: Path, names: list[str]) -> None:
    folder = scan_folder(str(write(tmp_path, names)))
    assert folder.classes == tuple(sorted({name.split("/")[0] for name in names}))
    assert folder.val is None


def test_split_of_classes_with_such_names(tmp_path: Path) -> None:
    write(tmp_path, sides("train", "test", classes=("bus", "test", "train")))
    folder = scan_folder(str(tmp_path))
    assert folder.classes == ("bus", "test", "train")
    assert folders_of(folder) == ({"train"}, {"test"})


def test_classes_that_hold_plain_folders(tmp_path: Path) -> None:
    folder = scan_folder(str(write(tmp_path, ["train/cat/images", "train/dog/images"])))
    assert folder.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        # Sides without classes in them.
        (["train", "test"], "make a folder for each class"),
        (["Training", "Testing", "notes"][:2], "'Training', 'Testing' are named like the sides"),
        (["train/images", "val/images"], "hold no class folders"),
        (["train", "test/cat", "test/dog"], "'train' is named like the sides"),
        (["cats_train", "cats_test"], "differ only in the side"),
        (["cat_train", "cat_test", "dog_train", "dog_test"], "folders 'train' and 'val'"),
        # No training side.
        (sides("val", "test"), "there is no folder 'train'"),
        ([*sides("val"), "cat", "dog"], "move the other folders into one of them"),
        ([*sides("train"), "cat", "dog"], "'train' holds folders, as a side of a split does"),
        ([*sides("train"), "bus"], "if 'train' is a class, move its images up"),
        # Two of one.
        (sides("train", "Training", "val"), "'Training', 'train' are the same side"),
        (sides("train", "val", "valid"), "'val', 'valid' are the same side"),
        # The split is below the classes, or further down.
        (["cat/train", "cat/test", "dog/train", "dog/test"], "sides come first"),
        (["cat/Train", "cat/Valid", "dog"], "sides come first"),
        ([*sides("images/train", "images/val"), "labels"][:4], "give "),
        (sides("data/train", "data/val"), "/data'"),
        (sides("pets"), "/pets'"),
        # Either may be the classes.
        (["cat/left", "cat/right", "dog/left", "dog/right"], "so either may be the classes"),
        (sides("tr", "te"), "name them 'train' and 'val'"),
        (["cat/left", "dog/Left"], "so either may be the classes"),
        (["train/cat/left", "train/dog/left"], "so either may be the classes"),
        (
            ["train/cat", "train/dog", "val/cat/left", "val/dog/left"],
            "so either may be the classes",
        ),
        # Classes that are on one side only.
        (["train/cat", "train/dog", "train/emu", "val/cat", "val/dog"], "'emu' only in 'train'"),
        (["train/cat", "train/dog", "val/Cat", "val/dog"], "'Cat' only in 'val'"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(
    tmp_path: Path, names: list[str], advice: str
) -> None:
    assert advice in refusal(write(tmp_path, names))


@pytest.mark.parametrize(
    ("names", "shared"),
    [
        (["cat", "cat/more", "dog", "dog/more"], "more"),  # images of their own as well
        ([*sides("Uebung", "Probe"), "Uebung/emu"], "cat"),
        (["site1/cat", "site1/dog", "site2/Dog", "site3/dog", "site3/emu"], "dog"),
    ],
)
def test_class_folders_that_share_some_folders_are_told(
    tmp_path: Path, names: list[str], shared: str
) -> None:
    folder = scan_folder(str(write(tmp_path, names)))
    assert folder.classes == tuple(sorted({name.split("/")[0] for name in names}))
    (warning,) = folder.warnings
    assert f"holds a folder {shared!r}" in warning


@pytest.mark.parametrize("names", [["cat/images", "dog/images"], ["cat/a", "dog/b"], ["cat", "d"]])
def test_other_class_folders_are_not_told_of(tmp_path: Path, names: list[str]) -> None:
    folder = scan_folder(str(write(tmp_path, names)))
    assert folder.warnings == folder.notes == ()


def test_class_that_is_called_like_a_side_is_told(tmp_path: Path) -> None:
    folder = scan_folder(str(write(tmp_path, ["boat", "car", "train"])))
    assert folder.notes == ("taken for classes, not for sides of a split: 'train'",)


def test_links_to_sides(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere", sides("a", "b"))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "Train").symlink_to(tmp_path / "elsewhere" / "a")
    (tmp_path / "here" / "Test").symlink_to(tmp_path / "elsewhere" / "b")
    assert folders_of(scan_folder(str(tmp_path / "here"))) == ({"Train"}, {"Test"})


def test_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, sides("Train", "Test"))
    monkeypatch.chdir(tmp_path)
    assert folders_of(scan_folder(".")) == ({"Train"}, {"Test"})

"""Data sets from folders: what is decoded, kept, skipped and refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from gnv2_nas.data import Dataset, Split, load_dataset
from gnv2_nas.data.dataset import FileSplit
from gnv2_nas.errors import DataError
from tests.confined import confined
from tests.data.pictures import noise, write_class, write_classes

SIDE = 8


def all_images(split: Split) -> torch.Tensor:
    return split.images(torch.arange(len(split)))


def equal(one: Dataset, other: Dataset) -> bool:
    """Same images, in the same order, on the same sides."""
    return all(
        list(mine.names) == list(theirs.names)
        and torch.equal(mine.labels, theirs.labels)
        and torch.equal(all_images(mine), all_images(theirs))
        for mine, theirs in ((one.train, other.train), (one.val, other.val))
    )


def test_split_is_made(tmp_path: Path) -> None:
    dataset = load_dataset(str(write_classes(tmp_path / "pets", cat=10, dog=20)), SIDE)
    assert dataset.name == "pets"
    assert dataset.classes == dataset.preprocessing.classes == ("cat", "dog")
    assert dataset.side == SIDE
    assert dataset.train.labels.bincount().tolist() == [8, 16]
    assert dataset.val.labels.bincount().tolist() == [2, 4]
    assert not set(dataset.train.names) & set(dataset.val.names)
    assert [(c.train, c.val) for c in dataset.report.classes] == [(8, 2), (16, 4)]


def test_split_is_given(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", a=3, b=2)
    write_class(tmp_path / "val" / "a", 2, first=5000)
    write_class(tmp_path / "val" / "b", 1, first=6000)
    dataset = load_dataset(str(tmp_path), SIDE)
    assert list(dataset.val.names) == ["val/a/0.png", "val/a/1.png", "val/b/0.png"]
    assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert len(dataset.report.lines()) == 2  # few images, and nothing else


def test_images_names_and_labels_belong_together(tmp_path: Path) -> None:
    write_classes(tmp_path, a=5, b=5)
    dataset = load_dataset(str(tmp_path), 16)
    for split in (dataset.train, dataset.val):
        for index, name in enumerate(split.names):
            image = split.images(torch.tensor([index]))
            assert dataset.classes[split.labels[index]] == name[0]
            number = int(Path(name).stem) + (1000 if name[0] == "b" else 0)
            centre = np.asarray(noise(number).crop((2, 0, 18, 16))).transpose(2, 0, 1)
            assert np.array_equal(image[0].numpy(), centre)


def test_images_by_index_in_any_order(tmp_path: Path) -> None:
    train = load_dataset(str(write_classes(tmp_path, a=5, b=5)), SIDE).train
    everything = all_images(train)
    assert everything.dtype == torch.uint8
    assert everything.shape == (len(train), 3, SIDE, SIDE)
    indices = torch.tensor([3, 0, 3])
    assert torch.equal(train.images(indices), everything[indices])
    # What is handed out is the caller's.
    train.images(indices).zero_()
    assert torch.equal(all_images(train), everything)


def test_seed_and_share_choose_the_split(tmp_path: Path) -> None:
    source = str(write_classes(tmp_path, a=20, b=20))
    first = load_dataset(source, SIDE)
    assert equal(first, load_dataset(source, SIDE))
    other = load_dataset(source, SIDE, seed=1)
    assert set(other.val.names) != set(first.val.names)
    assert other.content_hash != first.content_hash
    assert len(load_dataset(source, SIDE, held_out=0.5).val) == 20


def test_content_hash_is_of_the_content(tmp_path: Path) -> None:
    source = write_classes(tmp_path / "here", a=5, b=5)
    shutil.copytree(source, tmp_path / "there")
    content = load_dataset(str(source), SIDE).content_hash
    assert load_dataset(str(tmp_path / "there"), SIDE * 2).content_hash == content
    noise(77).save(tmp_path / "there" / "a" / "0.png")
    assert load_dataset(str(tmp_path / "there"), SIDE).content_hash != content


def test_colours_are_measured_on_training_images(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", a=20, b=20)
    write_class(tmp_path / "val" / "a", 1, first=5000)
    write_class(tmp_path / "val" / "b", 1, first=6000)
    dataset = load_dataset(str(tmp_path), SIDE)
    values = all_images(dataset.train).double() / 255
    std, mean = torch.std_mean(values, dim=(0, 2, 3), correction=0)
    assert dataset.preprocessing.mean == pytest.approx(mean.tolist(), abs=1e-4)
    assert dataset.preprocessing.std == pytest.approx(std.tolist(), abs=1e-4)


def test_images_of_one_colour_can_still_be_normalised(tmp_path: Path) -> None:
    for name in "ab":
        for number in range(2):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            noise(0).resize((9 + number, 9)).point([0] * 768).save(path)
    assert min(load_dataset(str(tmp_path), SIDE).preprocessing.std) > 0


def test_damaged_images_are_skipped_and_named(tmp_path: Path) -> None:
    write_classes(tmp_path, a=30, b=30)
    (tmp_path / "a" / "7.png").write_bytes(b"")
    (tmp_path / "b" / "9.png").write_bytes((tmp_path / "b" / "9.png").read_bytes()[:200])
    for _ in range(2):  # decoded, then remembered
        dataset = load_dataset(str(tmp_path), SIDE)
        assert [file.name for file in dataset.report.skipped] == ["a/7.png", "b/9.png"]
        assert dataset.report.skipped[0].reason == "empty file"
        assert len(dataset.train) + len(dataset.val) == 58
        names = [*dataset.train.names, *dataset.val.names]
        assert not {"a/7.png", "b/9.png"} & set(names)
        assert "2 files skipped" in "\n".join(dataset.report.lines())


def test_too_many_damaged_images_are_an_error(tmp_path: Path) -> None:
    write_classes(tmp_path, a=10, b=10)
    for number in range(2):
        (tmp_path / "a" / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 of 20 images cannot be used.*'a/0.png' \(empty file\)"):
        load_dataset(str(tmp_path), SIDE)


def test_class_that_is_damaged_altogether(tmp_path: Path) -> None:
    write_classes(tmp_path, a=60, b=2)
    for number in range(2):
        (tmp_path / "b" / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"class 'b' has 0 different usable images"):
        load_dataset(str(tmp_path), SIDE)


def test_equal_images_on_both_given_sides_are_warned_of(tmp_path: Path) -> None:
    write_classes(tmp_path / "train", a=12, b=12)
    shutil.copytree(tmp_path / "train", tmp_path / "val")
    noise(9999).save(tmp_path / "val" / "a" / "0.png")
    shutil.copy(tmp_path / "train" / "a" / "1.png", tmp_path / "train" / "b" / "twin.png")
    warnings = "\n".join(load_dataset(str(tmp_path), SIDE).report.lines())
    assert "23 held-out images are equal to training images" in warnings
    assert "equal to an image of another class" in warnings


def test_decoded_images_are_kept_and_used(tmp_path: Path, cache: Path) -> None:
    source = str(write_classes(tmp_path, a=5, b=5))
    first = load_dataset(source, SIDE)
    (file,) = cache.glob("*.npy")
    # Whoever reads these values has not decoded anything.
    array = np.load(file)
    np.save(file, 255 - array)
    second = load_dataset(source, SIDE)
    assert torch.equal(all_images(second.train), 255 - all_images(first.train))


@pytest.mark.parametrize("file", ["npy", "json"])
def test_damaged_cache_is_made_anew(tmp_path: Path, cache: Path, file: str) -> None:
    source = str(write_classes(tmp_path, a=5, b=5))
    first = load_dataset(source, SIDE)
    (kept,) = cache.glob(f"*.{file}")
    kept.write_bytes(kept.read_bytes()[:-40])
    assert equal(load_dataset(source, SIDE), first)


def test_half_written_cache_is_not_used(tmp_path: Path, cache: Path) -> None:
    source = str(write_classes(tmp_path, a=5, b=5))
    first = load_dataset(source, SIDE)
    # What a killed process leaves behind: the array under another name, no findings.
    (array,) = cache.glob("*.npy")
    array.rename(cache / f".{array.name}.x1")
    (cache / f".{array.name}.x1").write_bytes(b"half")
    next(cache.glob("*.json")).unlink()
    assert equal(load_dataset(source, SIDE), first)


def test_changed_file_is_decoded_again(tmp_path: Path) -> None:
    source = str(write_classes(tmp_path, a=5, b=5))
    before = load_dataset(source, SIDE)
    path = tmp_path / "a" / "0.png"
    time.sleep(0.02)  # file systems count time in steps
    noise(12345).save(path)
    after = load_dataset(source, SIDE)
    assert not equal(before, after)
    with (tmp_path / "a" / "new.png").open("wb") as file:
        noise(123).save(file, "png")
    assert len(load_dataset(source, SIDE).train) > len(before.train)


def test_sides_are_kept_apart(tmp_path: Path) -> None:
    source = str(write_classes(tmp_path, a=5, b=5))
    assert load_dataset(source, 8).train.images(torch.tensor([0])).shape[-1] == 8
    assert load_dataset(source, 12).train.images(torch.tensor([0])).shape[-1] == 12


DECODE = (
    "import sys; from pathlib import Path\n"
    "from gnv2_nas.data.image_store import decode_images\n"
    "images = decode_images(Path(sys.argv[1]), ['a/0.png', 'b/0.png'], 16)\n"
    "print(images.pixels.sum() > 0, images.note)"
)


def decode_confined(source: Path, largest_file: int | None = None) -> str:
    command = [sys.executable, "-c", DECODE, str(source)]
    done = subprocess.run(
        confined(command, largest_file), capture_output=True, text=True, check=True
    )
    return done.stdout


def test_cache_that_may_not_be_written(tmp_path: Path, cache: Path) -> None:
    source = write_classes(tmp_path, a=5, b=5)
    cache.parent.mkdir()
    cache.parent.chmod(0o500)
    answer = decode_confined(source)
    assert answer.startswith("True the decoded images could not be cached")
    assert "Permission denied" in answer


def test_disk_that_is_full(tmp_path: Path, cache: Path) -> None:
    source = write_classes(tmp_path, a=5, b=5)
    answer = decode_confined(source, 1000)
    assert answer.startswith("True the decoded images could not be cached")
    assert "File too large" in answer
    assert not list(cache.iterdir())


def test_larger_set_is_decoded_on_demand(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path, a=30, b=30)
    (tmp_path / "a" / "7.png").write_bytes(b"")
    small = load_dataset(str(tmp_path), SIDE)
    shutil.rmtree(cache)
    for _ in range(2):  # checked, then remembered
        large = load_dataset(str(tmp_path), SIDE, seed=0, stored_bytes=100)
        assert isinstance(large.train, FileSplit)
        assert equal(small, large)
        assert large.content_hash == small.content_hash
        assert large.report == small.report
        assert not list(cache.glob("*.npy"))


def test_image_that_vanishes_while_in_use(tmp_path: Path) -> None:
    write_classes(tmp_path, a=5, b=5)
    train = load_dataset(str(tmp_path), SIDE, seed=0, stored_bytes=100).train
    (tmp_path / train.names[2]).unlink()
    with pytest.raises(DataError, match=train.names[2]):
        train.images(torch.tensor([0, 2]))


def test_number_of_workers_does_not_matter(tmp_path: Path) -> None:
    source = str(write_classes(tmp_path, a=9, b=9))
    one = load_dataset(source, SIDE, seed=0, workers=1, stored_bytes=100)
    assert equal(one, load_dataset(source, SIDE, seed=0, workers=7, stored_bytes=100))


def test_progress_goes_to_one(tmp_path: Path) -> None:
    told: list[float] = []
    source = str(write_classes(tmp_path, a=150, b=150))
    load_dataset(source, SIDE, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) > 1

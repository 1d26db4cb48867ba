"""Stratified splits by content."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnv2_nas.data.dataset import LabelledImage, Sides, split_stratified
from gnv2_nas.errors import DataError


def images_of(*digests_of_class: list[str]) -> list[LabelledImage]:
    pairs = [(label, digest) for label, some in enumerate(digests_of_class) for digest in some]
    return [
        LabelledImage(row, f"{row}.png", label, digest) for row, (label, digest) in enumerate(pairs)
    ]


def different(count: int, prefix: str = "") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def val_rows(images: list[LabelledImage], held_out: float = 0.2, seed: int = 0) -> set[int]:
    classes = [str(label) for label in range(1 + max(image.label for image in images))]
    return {
        image.row for image in split_stratified(images, classes, held_out=held_out, seed=seed).val
    }


@given(
    sizes=st.lists(st.integers(2, 60), min_size=2, max_size=4),
    held_out=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31),
)
def test_every_class_gives_its_share(sizes: list[int], held_out: float, seed: int) -> None:
    images = images_of(*(different(size, f"{label}/") for label, size in enumerate(sizes)))
    classes = different(len(sizes))
    sides = split_stratified(images, classes, held_out=held_out, seed=seed)
    assert sorted(sides.train + sides.val) == images
    val = Counter(image.label for image in sides.val)
    for label, size in enumerate(sizes):
        assert 1 <= val[label] <= size - 1
        assert abs(val[label] - held_out * size) <= 1


def test_a_function_of_the_seed() -> None:
    images = images_of(different(50, "a"), different(50, "b"))
    assert val_rows(images) == val_rows(images)
    assert val_rows(images) != val_rows(images, seed=1)


def test_order_and_names_do_not_matter() -> None:
    images = images_of(different(50, "a"), different(50, "b"))
    renamed = [image._replace(name=f"other{image.row}") for image in reversed(images)]
    assert val_rows(images) == val_rows(renamed)


def test_new_images_hardly_move_the_others() -> None:
    before = val_rows(images_of(different(100), different(2, "b")))
    grown = images_of([*different(100), *different(10, "new")], different(2, "b"))
    assert len({row for row in before if row < 100} - val_rows(grown)) <= 5


def test_equal_images_stay_together() -> None:
    digests = [f"{number // 3}" for number in range(60)]
    for seed in range(5):
        held = val_rows(images_of(digests, different(2, "b")), seed=seed)
        val = {digests[row] for row in range(60) if row in held}
        train = {digests[row] for row in range(60) if row not in held}
        assert val
        assert not val & train


def test_one_image_many_times_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"class '1' has 1 different usable images"):
        val_rows(images_of(different(5), ["same"] * 5))


@pytest.mark.parametrize("held_out", [0.0, 1.0, -0.5, float("nan")])
def test_share_must_leave_both_sides_something(held_out: float) -> None:
    with pytest.raises(DataError, match=r"0 < held_out < 1"):
        val_rows(images_of(different(5), different(5, "b")), held_out)


def test_content_hash_says_which_images_are_on_which_side() -> None:
    train, val = images_of(different(3, "a"), different(3, "b")), images_of(["x"], ["y"])
    classes = ["cat", "dog"]
    content = Sides(train, val).content_hash(classes)
    moved = [image._replace(name="moved", row=9) for image in reversed(train)]
    assert Sides(moved, val).content_hash(classes) == content
    assert len(content) == 12
    changes = [
        Sides(val, train).content_hash(classes),
        Sides(train[1:], val).content_hash(classes),
        Sides(train, val).content_hash(["cat", "wolf"]),
        Sides([image._replace(label=0) for image in train], val).content_hash(classes),
    ]
    assert len({content, *changes}) == 5


def test_class_that_is_missing_on_one_side() -> None:
    with pytest.raises(DataError, match=r"class 'dog' has no usable held-out image"):
        Sides(images_of(["a"], ["b"]), images_of(["c"])).counts(["cat", "dog"])

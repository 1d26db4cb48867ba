"""Names of folders that say which side of a split is in them.

"train", "Training", "train_images", "train2017" and "TrainSet" all mean the training side. What is
left of a name without its side and without words such as "images" tells "cat_train" from "train".
"""

from __future__ import annotations

import re
from typing import NamedTuple

TRAIN = 0
"""The side to learn from. Higher numbers are held out; the lowest one that is there is taken."""
NO_SIDE = -1

_SIDES = (
    "train training trainval trn",
    "val vali valid validate validation",
    "dev devel development",
    "eval evaluate evaluation",
    "holdout heldout",
    "test testing tests tst",
)
_SIDE_OF = {word: number for number, words in enumerate(_SIDES) for word in words.split()}
_FILLING = frozenset(
    {
        "data", "dataset", "datasets", "ds", "folder", "image", "images", "img", "imgs", "jpeg",
        "jpegs", "jpg", "part", "photo", "photos", "pic", "pics", "picture", "pictures", "png",
        "samples", "set", "sets", "split",
    }
)  # fmt: skip
"""Words that say nothing of what is in a folder."""
_NEITHER = frozenset(
    {
        "anno", "annotation", "annotations", "bbox", "extra", "label", "labels", "mask", "masks",
        "meta", "metadata", "pred", "predict", "prediction", "predictions", "unlabeled",
        "unlabelled",
    }
)  # fmt: skip
"""Words for what lies beside the sides of a split and is none of its classes."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_JOINED = re.compile(rf"(.+?)({'|'.join(sorted(_FILLING, key=len, reverse=True))})")


class SplitName(NamedTuple):
    """What a name says."""

    side: int
    """`TRAIN`, a higher number, or `NO_SIDE`."""
    rest: tuple[str, ...]
    """The other words, in lower case, fillings, numbers and single letters left out."""


def parse_split_name(name: str) -> SplitName:
    """Which side of a split a folder is by its name."""
    words = _words(name)
    sides = {_SIDE_OF[word] for word in words if word in _SIDE_OF}
    if len(sides) != 1:  # "train_test_split" is no side
        return SplitName(NO_SIDE, tuple(words))
    rest = (word for word in words if word not in _SIDE_OF and not _is_filler_word(word))
    return SplitName(sides.pop(), tuple(word for word in rest if len(word) > 1))


def is_filler(name: str) -> bool:
    """Whether a name says nothing of what is in a folder: "images", "JPEGImages", "224"."""
    return all(map(_is_filler_word, _words(name)))


def is_annotation(name: str) -> bool:
    """Whether a folder, by its name, is none of the classes: "labels", "unlabeled"."""
    return any(word in _NEITHER for word in _words(name))


def is_not_class(name: str) -> bool:
    """Whether a folder in a side of a split is, by its name, no class: "images", "labels"."""
    return is_annotation(name) or all(word in _FILLING for word in _words(name))


def _is_filler_word(word: str) -> bool:
    return word in _FILLING or word.isdigit()


def _words(name: str) -> list[str]:
    words = [word.casefold() for word in _WORD.findall(name)]
    words = " ".join(words).replace("hold out", "holdout").replace("held out", "heldout").split()
    apart: list[str] = []
    for word in words:
        joined = _JOINED.fullmatch(word)  # "trainset"
        apart += joined.groups() if joined and joined[1] in _SIDE_OF else (word,)
    return apart

"""Names of folders that are sides of a split.

"train", "Training", "train_images", "train2017" and "TrainSet" all mean the training side. The
words besides the side and fillers such as "images" tell "cat_train" from "train".
"""

from __future__ import annotations

import re
from typing import NamedTuple

TRAIN = 0
"""Number of the training side. Sides of higher numbers are held out; the lowest is used."""
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
_FILLERS = frozenset(
    {
        "data", "dataset", "datasets", "ds", "folder", "image", "images", "img", "imgs", "jpeg",
        "jpegs", "jpg", "part", "photo", "photos", "pic", "pics", "picture", "pictures", "png",
        "samples", "set", "sets", "split",
    }
)  # fmt: skip
"""Words without information about the contents of a folder."""
_ANNOTATIONS = frozenset(
    {
        "anno", "annotation", "annotations", "bbox", "extra", "label", "labels", "mask", "masks",
        "meta", "metadata", "pred", "predict", "prediction", "predictions", "unlabeled",
        "unlabelled",
    }
)  # fmt: skip
"""Words for folders that are neither sides of a split nor classes."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")
_COMPOUND = re.compile(rf"(.+?)({'|'.join(sorted(_FILLERS, key=len, reverse=True))})")


class SplitName(NamedTuple):
    """Parts of the name of a folder."""

    side: int
    """`TRAIN`, a higher number, or `NO_SIDE`."""
    rest: tuple[str, ...]
    """Other words in lower case, without fillers, numbers and single letters."""


def parse_split_name(name: str) -> SplitName:
    """Find the side of a split that a folder's name stands for."""
    words = _words(name)
    sides = {_SIDE_OF[word] for word in words if word in _SIDE_OF}
    if len(sides) != 1:  # "train_test_split" is no side
        return SplitName(NO_SIDE, tuple(words))
    rest = (word for word in words if word not in _SIDE_OF and not _is_filler_word(word))
    return SplitName(sides.pop(), tuple(word for word in rest if len(word) > 1))


def is_filler(name: str) -> bool:
    """Whether a name has no information about the contents: "images", "JPEGImages", "224"."""
    return all(map(_is_filler_word, _words(name)))


def is_annotation(name: str) -> bool:
    """Whether a name stands for annotations or unlabelled images: "labels", "unlabeled"."""
    return any(word in _ANNOTATIONS for word in _words(name))


def is_not_class(name: str) -> bool:
    """Whether a folder in a side of a split is no class by its name: "images", "labels"."""
    return is_annotation(name) or all(word in _FILLERS for word in _words(name))


def _is_filler_word(word: str) -> bool:
    return word in _FILLERS or word.isdigit()


def _words(name: str) -> list[str]:
    words = [word.casefold() for word in _WORD.findall(name)]
    words = " ".join(words).replace("hold out", "holdout").replace("held out", "heldout").split()
    apart: list[str] = []
    for word in words:
        compound = _COMPOUND.fullmatch(word)  # "trainset"
        apart += compound.groups() if compound and compound[1] in _SIDE_OF else (word,)
    return apart

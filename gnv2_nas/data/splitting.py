"""Stratified split into training and held-out images.

The side of an image depends on its content and the seed alone. New images of a class therefore
hardly move the others, and equal pictures of a class stay on one side.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from gnv2_nas.data.report import ClassCount
from gnv2_nas.errors import DataError


class LabelledImage(NamedTuple):
    """A usable image."""

    row: int
    """Number of the image among all that were read."""
    name: str
    label: int
    digest: str
    """Hash of the picture."""
    file_digest: str = ""
    """Hash of the file; "" if there is none."""

    @property
    def content(self) -> str:
        """Hash that decides the split.

        That of the file, not of the picture: it does not depend on the decoder, and it splits
        folders as earlier versions did.
        """
        return self.file_digest or self.digest


class Sides(NamedTuple):
    """Both sides of a split, each in the order in which the images were read."""

    train: list[LabelledImage]
    val: list[LabelledImage]

    def counts(self, classes: Sequence[str]) -> tuple[ClassCount, ...]:
        """Count the images of each class.

        Raises:
            DataError: a class has no image on one side.
        """
        train, val = (Counter(image.label for image in side) for side in self)
        for label, name in enumerate(classes):
            if not (train[label] and val[label]):
                side = "held-out" if train[label] else "training"
                raise DataError(
                    f"class {name!r} has no usable {side} image; each side needs at least "
                    "1: add images or move the class away"
                )
        return tuple(
            ClassCount(name, train[label], val[label]) for label, name in enumerate(classes)
        )

    def content_hash(self, classes: Sequence[str]) -> str:
        """Hash contents, classes and sides to 12 hexadecimal digits.

        Names of files and the stored size do not count.
        """
        lines = [
            f"{side} {classes[image.label]} {image.content}\n"
            for side, images in zip(self._fields, self, strict=True)
            for image in images
        ]
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()[:12]


def split_stratified(
    images: Sequence[LabelledImage], classes: Sequence[str], *, held_out: float, seed: int
) -> Sides:
    """Hold out about a share `held_out` of every class; each side gets at least one image.

    Raises:
        DataError: a share outside 0..1, or a class with fewer than two different images.
    """
    if not 0 < held_out < 1:
        raise DataError(f"`0 < held_out < 1` must hold, but got {held_out}; try 0.2")
    groups: dict[int, dict[str, list[LabelledImage]]] = defaultdict(lambda: defaultdict(list))
    for image in images:
        groups[image.label][image.digest].append(image)
    chosen: set[int] = set()
    for label, name in enumerate(classes):
        if len(groups[label]) < 2:
            raise DataError(
                f"class {name!r} has {len(groups[label])} different usable images; at least 2 "
                "are needed, one to train on and one held out"
            )
        chosen |= _choose_held_out(list(groups[label].values()), held_out, seed)
    return Sides(
        [image for image in images if image.row not in chosen],
        [image for image in images if image.row in chosen],
    )


def _choose_held_out(groups: Sequence[list[LabelledImage]], held_out: float, seed: int) -> set[int]:
    """Choose rows of one class; equal images stay together, and neither side is empty."""

    def order(group: list[LabelledImage]) -> bytes:
        content = min(image.content for image in group)
        return hashlib.sha256(f"{seed} {content}".encode()).digest()

    wanted = held_out * sum(map(len, groups))
    chosen: set[int] = set()
    for group in sorted(groups, key=order)[:-1]:
        if chosen and len(chosen) + len(group) / 2 > wanted:
            break
        chosen.update(image.row for image in group)
    return chosen

"""A training part and a held-out part, of every class the same share.

Which side an image falls on depends on its content and the seed alone: adding images to a class
hardly moves the others, and equal pictures of a class, in whatever files, stay on one side.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from gnv2_nas.data.report import ClassCount
from gnv2_nas.errors import DataError


class LabelledImage(NamedTuple):
    """An image that can be used."""

    row: int
    """Where it is among all images that were read."""
    name: str
    label: int
    digest: str
    """Equal for equal pictures."""
    file_digest: str = ""
    """Equal for equal files; "" where there are none."""

    @property
    def content(self) -> str:
        """What the split and its hash are computed from.

        The file, not the picture: where no picture is there twice, a folder is split as it was by
        earlier versions, whichever decoder this machine has.
        """
        return self.file_digest or self.digest


class Sides(NamedTuple):
    """Both parts of a data set, each in the order the images were read in."""

    train: list[LabelledImage]
    val: list[LabelledImage]

    def counts(self, classes: Sequence[str]) -> tuple[ClassCount, ...]:
        """Images of each class.

        Raises:
            DataError: a class has none on one side.
        """
        train, val = (Counter(image.label for image in side) for side in self)
        for label, name in enumerate(classes):
            if not (train[label] and val[label]):
                side = "held-out" if train[label] else "training"
                raise DataError(
                    f"class {name!r} has no usable {side} image; at least 1 is needed on either "
                    "side: add images or move the class away"
                )
        return tuple(
            ClassCount(name, train[label], val[label]) for label, name in enumerate(classes)
        )

    def content_hash(self, classes: Sequence[str]) -> str:
        """12 hexadecimal digits: which files, of which class, are on which side; whatever the
        files are called and at whichever size their images are stored.
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
    """About `held_out` of the images of every class apart, on either side at least one.

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
                f"class {name!r} has {len(groups[label])} usable images of different content; at "
                "least 2 are needed, one to learn from and one held out"
            )
        chosen |= _drawn(list(groups[label].values()), held_out, seed)
    return Sides(
        [image for image in images if image.row not in chosen],
        [image for image in images if image.row in chosen],
    )


def _drawn(groups: Sequence[list[LabelledImage]], held_out: float, seed: int) -> set[int]:
    """Rows of about `held_out` of a class, equal images together, never none and never all."""

    def place(group: list[LabelledImage]) -> bytes:
        content = min(image.content for image in group)
        return hashlib.sha256(f"{seed} {content}".encode()).digest()

    wanted = held_out * sum(map(len, groups))
    drawn: set[int] = set()
    for group in sorted(groups, key=place)[:-1]:
        if drawn and len(drawn) + len(group) / 2 > wanted:
            break
        drawn.update(image.row for image in group)
    return drawn

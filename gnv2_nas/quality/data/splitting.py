"""A training part and a held-out part, of every class the same share.

Which side an image falls on depends on its content and the seed alone: adding images to a class
hardly moves the others, and equal images, wherever they lie, stay on one side.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from gnv2_nas.errors import DataError


def held_out_indices(
    labels: Sequence[int],
    digests: Sequence[str],
    classes: Sequence[str],
    *,
    held_out: float,
    seed: int,
) -> list[int]:
    """Which images are held out, in increasing order.

    Args:
        labels: class number of each image.
        digests: equal for images of equal content.
        held_out: share of every class, in 0..1; at least one image is on either side.

    Raises:
        DataError: a share outside 0..1, or a class with fewer than two different images.
    """
    if not 0 < held_out < 1:
        raise DataError(f"`0 < held_out < 1` must hold, but got {held_out}; try 0.2")
    groups: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, (label, digest) in enumerate(zip(labels, digests, strict=True)):
        groups[label][digest].append(index)
    chosen: list[int] = []
    for label, name in enumerate(classes):
        if len(groups[label]) < 2:
            raise DataError(
                f"class {name!r} has {len(groups[label])} usable images of different content; at "
                "least 2 are needed, one to learn from and one held out"
            )
        chosen += _drawn(groups[label], held_out, seed)
    return sorted(chosen)


def _drawn(groups: dict[str, list[int]], held_out: float, seed: int) -> list[int]:
    """About `held_out` of the images, equal ones together, never none and never all."""

    def place(digest: str) -> bytes:
        return hashlib.sha256(f"{seed}:{digest}".encode()).digest()

    wanted = held_out * sum(map(len, groups.values()))
    drawn: list[int] = []
    for digest in sorted(groups, key=place)[:-1]:
        if drawn and len(drawn) + len(groups[digest]) / 2 > wanted:
            break
        drawn += groups[digest]
    return drawn

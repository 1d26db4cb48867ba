"""What was found in a set of images: counts, what was left out and why, what to beware of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from gnv2_nas.data.folders.file_kinds import identify_suffix

MAX_IMBALANCE = 10.0
"""Largest over smallest class; from here on accuracy says little about the small classes."""
MIN_CLASS_IMAGES = 10
"""Training images of a class; below this it is hardly learnt."""
_NAMED = 5
"""Files and classes named in a line; the others are counted."""


class ClassCount(msgspec.Struct, frozen=True):
    """Images of one class on both sides of the split."""

    name: str
    train: int
    val: int


class SkippedFile(msgspec.Struct, frozen=True):
    """An image file that cannot be used."""

    name: str
    """Path below the folder."""
    reason: str


class SetAside(msgspec.Struct, frozen=True):
    """Files of one suffix in the folder of one class that are no images by their names."""

    suffix: str
    """In lower case, or what stands in the place of one."""
    name: str
    """Of the class."""
    count: int
    of: int
    """Files in the folder of the class, images included."""


class DataReport(msgspec.Struct, frozen=True):
    """What a data set consists of."""

    classes: tuple[ClassCount, ...]
    skipped: tuple[SkippedFile, ...] = ()
    ignored: int = 0
    """Files that are no images by their names."""
    set_aside: tuple[SetAside, ...] = ()
    """The same by suffix and class."""
    notes: tuple[str, ...] = ()
    """What else a person should know, a line each."""
    warnings: tuple[str, ...] = ()
    """What to beware of besides the counts."""

    @property
    def train(self) -> int:
        """Training images."""
        return sum(count.train for count in self.classes)

    @property
    def val(self) -> int:
        """Held-out images."""
        return sum(count.val for count in self.classes)

    @property
    def imbalance(self) -> float:
        """Training images of the largest class over those of the smallest."""
        sizes = [count.train for count in self.classes]
        return max(sizes) / min(sizes)

    @property
    def chance(self) -> float:
        """Held-out accuracy of always answering the class that is most frequent in training,
        0..1: what an accuracy must beat."""
        return max(self.classes, key=lambda count: count.train).val / self.val

    def lines(self) -> list[str]:
        """For people; what to beware of comes last and begins with "warning: "."""
        lines = [
            f"{len(self.classes)} classes, {self.train:,} training images, "
            f"{self.val:,} held out; always answering the largest class scores "
            f"{self.chance:.1%}"
        ]
        aside = _by_suffix(self.set_aside)
        if self.ignored:
            plain = [_in_classes(s, files) for s, files in aside.items() if not identify_suffix(s)]
            named = f": {'; '.join(plain[:_NAMED])}{_more(plain)}" if plain else ""
            lines.append(f"{_files(self.ignored)} ignored: no images by their names{named}")
        lines += self.notes
        return lines + [f"warning: {line}" for line in self._all_warnings()]

    def _all_warnings(self) -> list[str]:
        aside = _by_suffix(self.set_aside)
        return [
            *self.warnings,
            *(
                f"set aside: {_in_classes(suffix, files)}; {kind.name}, not read: {kind.advice}"
                for suffix, files in aside.items()
                if (kind := identify_suffix(suffix))
            ),
            *self._of_counts(),
        ]

    def _of_counts(self) -> list[str]:
        warnings = []
        if self.skipped:
            named = ", ".join(f"{file.name!r} ({file.reason})" for file in self.skipped[:_NAMED])
            warnings.append(f"{_files(len(self.skipped))} skipped: {named}{_more(self.skipped)}")
        if self.imbalance > MAX_IMBALANCE:
            ordered = sorted(self.classes, key=lambda count: count.train)
            warnings.append(
                f"class {ordered[-1].name!r} has {self.imbalance:.0f} times the training images "
                f"of {ordered[0].name!r}; accuracy will say little about the small classes"
            )
        few = [count for count in self.classes if count.train < MIN_CLASS_IMAGES]
        if few:
            named = ", ".join(f"{count.name!r} ({count.train})" for count in few[:_NAMED])
            warnings.append(
                f"fewer than {MIN_CLASS_IMAGES} training images in class {named}{_more(few)}"
            )
        return warnings


def _files(count: int) -> str:
    return f"{count:,} file" if count == 1 else f"{count:,} files"


def _by_suffix(files: Sequence[SetAside]) -> dict[str, list[SetAside]]:
    """Suffix → what is in which class, the most frequent suffix first."""
    found: dict[str, list[SetAside]] = defaultdict(list)
    for each in files:
        found[each.suffix].append(each)
    return dict(sorted(found.items(), key=lambda item: -sum(each.count for each in item[1])))


def _in_classes(suffix: str, files: list[SetAside]) -> str:
    """How many files of a suffix there are, and where."""
    largest = sorted(files, key=lambda each: -each.count)
    named = ", ".join(
        f"{each.count:,} of {each.of:,} in {each.name!r}" for each in largest[:_NAMED]
    )
    return f"{sum(each.count for each in files):,} {suffix} ({named}{_more(files)})"


def _more(items: Sequence[object]) -> str:
    return f" and {len(items) - _NAMED:,} more" if len(items) > _NAMED else ""

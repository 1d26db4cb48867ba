"""Report on a set of images: counts, skipped and ignored files, warnings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from gnv2_nas.data.folders.file_kinds import identify_suffix

MAX_IMBALANCE = 10.0
"""Ratio of largest to smallest class above which accuracy says little about the latter."""
MIN_CLASS_IMAGES = 10
"""Training images below which a class is hardly learnt."""
_NAMED = 5
"""Maximum number of files or classes named in a line."""


class ClassCount(msgspec.Struct, frozen=True):
    """Number of images of one class on both sides of the split."""

    name: str
    train: int
    val: int


class SkippedFile(msgspec.Struct, frozen=True):
    """An unusable image file."""

    name: str
    """Path below the folder."""
    reason: str


class UnreadFiles(msgspec.Struct, frozen=True):
    """Files of one suffix in a class folder whose names are not those of images."""

    suffix: str
    """Suffix in lower case, or `NO_SUFFIX` or `NO_FILE`."""
    name: str
    """Name of the class."""
    count: int
    of: int
    """Number of files in the class folder, images included."""


class DataReport(msgspec.Struct, frozen=True):
    """Contents of a data set."""

    classes: tuple[ClassCount, ...]
    skipped: tuple[SkippedFile, ...] = ()
    ignored: int = 0
    """Number of files whose names are not those of images."""
    unread: tuple[UnreadFiles, ...] = ()
    """The same files by suffix and class."""
    notes: tuple[str, ...] = ()
    """Further remarks, one line each."""
    warnings: tuple[str, ...] = ()
    """Warnings that do not follow from the counts."""

    @property
    def train(self) -> int:
        """Number of training images."""
        return sum(count.train for count in self.classes)

    @property
    def val(self) -> int:
        """Number of held-out images."""
        return sum(count.val for count in self.classes)

    @property
    def imbalance(self) -> float:
        """Training images of the largest class over those of the smallest."""
        sizes = [count.train for count in self.classes]
        return max(sizes) / min(sizes)

    @property
    def chance(self) -> float:
        """Held-out accuracy of always answering the largest training class, 0..1."""
        return max(self.classes, key=lambda count: count.train).val / self.val

    def lines(self) -> list[str]:
        """Lines for people; warnings come last and start with "warning: "."""
        lines = [
            f"{len(self.classes)} classes, {self.train:,} training images, "
            f"{self.val:,} held out; always answering the largest class scores "
            f"{self.chance:.1%}"
        ]
        unread = _by_suffix(self.unread)
        if self.ignored:
            plain = [_in_classes(s, files) for s, files in unread.items() if not identify_suffix(s)]
            named = f": {'; '.join(plain[:_NAMED])}{_more(plain)}" if plain else ""
            lines.append(f"{_files(self.ignored)} ignored: no images by their names{named}")
        lines += self.notes
        return lines + [f"warning: {line}" for line in self._all_warnings()]

    def _all_warnings(self) -> list[str]:
        unread = _by_suffix(self.unread)
        return [
            *self.warnings,
            *(
                f"set aside: {_in_classes(suffix, files)}; {kind.name}, not read: {kind.advice}"
                for suffix, files in unread.items()
                if (kind := identify_suffix(suffix))
            ),
            *self._count_warnings(),
        ]

    def _count_warnings(self) -> list[str]:
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


def _by_suffix(files: Sequence[UnreadFiles]) -> dict[str, list[UnreadFiles]]:
    """Group by suffix, the most frequent suffix first."""
    found: dict[str, list[UnreadFiles]] = defaultdict(list)
    for each in files:
        found[each.suffix].append(each)
    return dict(sorted(found.items(), key=lambda item: -sum(each.count for each in item[1])))


def _in_classes(suffix: str, files: list[UnreadFiles]) -> str:
    """Describe the number of files of a suffix in each class."""
    largest = sorted(files, key=lambda each: -each.count)
    named = ", ".join(
        f"{each.count:,} of {each.of:,} in {each.name!r}" for each in largest[:_NAMED]
    )
    return f"{sum(each.count for each in files):,} {suffix} ({named}{_more(files)})"


def _more(items: Sequence[object]) -> str:
    return f" and {len(items) - _NAMED:,} more" if len(items) > _NAMED else ""

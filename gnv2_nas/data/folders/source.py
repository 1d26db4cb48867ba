"""Which images and classes a source holds, by names alone. Imports neither torch nor Pillow.

A folder has one of two forms::

    DIR/class/….jpg                                 the split is made
    DIR/train/class/….jpg and DIR/val/class/….jpg   the split is given (see `layout`)

Images may lie in folders below that of their class. Hidden files are passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gnv2_nas.data.folders.file_kinds import SUFFIXES, describe_other_files
from gnv2_nas.data.folders.layout import check_class_folders, find_layout, quote_names
from gnv2_nas.data.folders.walking import count_images, find_images, list_folders
from gnv2_nas.errors import DataError

DIGITS = "digits"
"""Name of the built-in images; a folder of that name is "./digits"."""
DIGIT_CLASSES = tuple("0123456789")

_ADVICE = "put the images of each class into a folder of its own, for example DIR/cat/1.jpg"


class ImageFile(NamedTuple):
    """An image file with its class."""

    name: str
    """Path below the root."""
    label: int


class OtherFiles(NamedTuple):
    """Files of one suffix in a class folder whose names are not those of images."""

    suffix: str
    """Suffix in lower case, or `NO_SUFFIX` or `NO_FILE`."""
    label: int
    files: int


@dataclass(frozen=True)
class ImageFolder:
    """Image files of a folder of class folders, in a fixed order."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[ImageFile, ...]
    """Training images; all images if the folder is not split."""
    val: tuple[ImageFile, ...] | None
    """Held-out images; None if the folder is not split."""
    others: tuple[OtherFiles, ...]
    """Files in class folders whose names are not those of images."""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """Warnings about images and folders that are not used."""

    @property
    def ignored(self) -> int:
        """Number of files in class folders whose names are not those of images."""
        return sum(other.files for other in self.others)


def check_source(source: str) -> None:
    """Check that a source can be a data set, without heavy imports.

    Raises:
        DataError: no such folder, no images, a single class, a class without enough images,
            classes that differ between the sides of the split.
    """
    find_classes(source)


def find_classes(source: str) -> tuple[str, ...]:
    """Return the names of the classes, in order, without decoding an image.

    Raises:
        DataError: see `check_source`.
    """
    return DIGIT_CLASSES if source == DIGITS else scan_folder(source).classes


def scan_folder(source: str) -> ImageFolder:
    """Find all image files of a folder.

    Raises:
        DataError: see `check_source`.
    """
    try:
        return _scan(source, Path(source))
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{source!r} cannot be read: {reason}; give a folder that you may read"
        ) from None


def _scan(source: str, root: Path) -> ImageFolder:
    if not root.exists():
        raise DataError(f"no folder {source!r}; give a folder of images, or {DIGITS!r}")
    if not root.is_dir():
        raise DataError(f"{source!r} is a file; give the folder that holds the class folders")
    layout = find_layout(root)
    classes = _classes(layout.train)
    if layout.val is not None:
        _check_same(classes, _classes(layout.val), layout.train, layout.val)
    minimum = 2 if layout.val is None else 1
    sides: list[tuple[ImageFile, ...]] = []
    ignored: list[Counter[str]] = [Counter() for _ in classes]
    doubts: list[str] = []
    for folder in (layout.train, layout.val):
        if folder is not None:
            sides.append(_files(root, folder, classes, ignored))
            inner = _folders_of_classes(root, folder, classes, sides[-1])
            doubts += check_class_folders(folder, inner)
            _check_counts(folder, sides[-1], classes, ignored, minimum=minimum)
    return ImageFolder(
        root,
        classes,
        sides[0],
        sides[1] if len(sides) > 1 else None,
        tuple(
            OtherFiles(suffix, label, count)
            for label, counts in enumerate(ignored)
            for suffix, count in sorted(counts.items())
        ),
        layout.notes,
        (*layout.warnings, *doubts, *_loose(layout.train), *_loose(layout.val)),
    )


def _loose(folder: Path | None) -> list[str]:
    """Warn of images that lie beside the class folders."""
    count = 0 if folder is None else count_images(folder)
    if not count:
        return []
    images = "1 image lies" if count == 1 else f"{count:,} images lie"
    return [f"{images} in {str(folder)!r} itself, in no class folder; they are not used"]


def _classes(folder: Path) -> tuple[str, ...]:
    names = tuple(path.name for path in list_folders(folder))
    if not names:
        raise DataError(f"{str(folder)!r} holds no class folders; {_ADVICE}")
    if len(names) == 1:
        below = [path.name for path in list_folders(folder / names[0])]
        advice = (
            f"; if {quote_names(below)} {'is one' if len(below) == 1 else 'are'} of them, "
            f"give {str(folder / names[0])!r}"
            if len(below) > 1
            else ""
        )
        raise DataError(
            f"{str(folder)!r} holds a single class, {names[0]!r}; at least 2 are needed{advice}"
        )
    for name in names:
        if not _is_text(name):
            raise DataError(f"the name of class folder {name!r} is not UTF-8; rename it")
    return names


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _files(
    root: Path, folder: Path, classes: Sequence[str], ignored: Sequence[Counter[str]]
) -> tuple[ImageFile, ...]:
    below = len(str(root / "_")) - 1
    return tuple(
        ImageFile(path[below:], label)
        for label, name in enumerate(classes)
        for path in find_images(folder / name, ignored[label])
    )


def _folders_of_classes(
    root: Path, folder: Path, classes: Sequence[str], files: Sequence[ImageFile]
) -> list[tuple[str, frozenset[str]]]:
    """For each class with images: its folders that contain them, "" for itself."""
    depth = len(folder.relative_to(root).parts) + 1
    found: dict[int, set[str]] = {}
    for file in files:
        parts = file.name.split("/", depth + 1)
        found.setdefault(file.label, set()).add(parts[depth] if len(parts) > depth + 1 else "")
    return [(classes[label], frozenset(names)) for label, names in found.items()]


def _check_same(
    train: tuple[str, ...], val: tuple[str, ...], train_folder: Path, val_folder: Path
) -> None:
    differences = [
        f"{quote_names(sorted(set(some) - set(others)))} only in {folder.name!r}"
        for some, others, folder in ((train, val, train_folder), (val, train, val_folder))
        if set(some) - set(others)
    ]
    if differences:
        raise DataError(
            f"{str(train_folder.parent)!r}: the classes of both splits must be the same, but "
            f"{' and '.join(differences)}; move or rename these folders"
        )


def _check_counts(
    folder: Path,
    files: tuple[ImageFile, ...],
    classes: Sequence[str],
    ignored: Sequence[Counter[str]],
    *,
    minimum: int,
) -> None:
    if not files:
        found = describe_other_files(ignored)
        raise DataError(f"{str(folder)!r} holds no images{found}; read are {' '.join(SUFFIXES)}")
    counts = Counter(file.label for file in files)
    few = [name for label, name in enumerate(classes) if counts[label] < minimum]
    if few:
        found = describe_other_files(
            [some for some, name in zip(ignored, classes, strict=True) if name in few]
        )
        raise DataError(
            f"{str(folder)!r}: every class needs at least {minimum} "
            f"{'image' if minimum == 1 else 'images, one to train on and one held out'}, but "
            f"{quote_names(few)} {'has' if len(few) == 1 else 'have'} fewer{found}; add images or "
            "move the folder away"
        )

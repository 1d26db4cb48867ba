"""Which images and classes a source holds, by names alone. Imports neither torch nor Pillow.

A folder has one of two forms::

    DIR/class/….jpg                                 the split is made
    DIR/train/class/….jpg and DIR/val/class/….jpg   the split is given ("valid", "validation" or
                                                    "test" do as well as "val")

Images may lie in folders below that of their class. Hidden files are passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gnv2_nas.errors import DataError
from gnv2_nas.quality.data.walking import SUFFIXES, find_images, folders_in

DIGITS = "digits"
"""The source that is built in; a folder of that name is "./digits"."""
DIGIT_CLASSES = tuple("0123456789")

_TRAIN = "train"
_HELD_OUT = ("val", "valid", "validation", "test")
_ADVICE = "put the images of each class into a folder of its own, for example DIR/cat/1.jpg"
_NAMED = 5


class ImageFile(NamedTuple):
    """An image file and its class."""

    name: str
    """Path below the root."""
    label: int


@dataclass(frozen=True)
class ImageFolder:
    """The image files of a folder of class folders, in a fixed order."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[ImageFile, ...]
    """All files, where the split is not given."""
    val: tuple[ImageFile, ...] | None
    """None where the split is not given."""
    ignored: int
    """Files in class folders that are no images by their names."""


def check_source(source: str) -> None:
    """Prove that a source can be a data set, before anything heavy is imported.

    Raises:
        DataError: no such folder, no images, a single class, a class without enough images,
            classes that differ between splits.
    """
    classes_of(source)


def classes_of(source: str) -> tuple[str, ...]:
    """Names of the classes, in order; no image is decoded.

    Raises:
        DataError: see `check_source`.
    """
    return DIGIT_CLASSES if source == DIGITS else scan_folder(source).classes


def scan_folder(source: str) -> ImageFolder:
    """All image files of a folder.

    Raises:
        DataError: see `check_source`.
    """
    try:
        return _scan(source, Path(source))
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{source!r} cannot be read: {reason}; give a folder you may read"
        ) from None


def _scan(source: str, root: Path) -> ImageFolder:
    if not root.exists():
        raise DataError(f"no folder {source!r}; give a folder of images, or {DIGITS!r}")
    if not root.is_dir():
        raise DataError(f"{source!r} is a file; give the folder that holds the class folders")
    train_folder, val_folder = _split_folders(root)
    classes = _classes(train_folder)
    ignored: Counter[str] = Counter()
    train = _files(root, train_folder, classes, ignored)
    if val_folder is None:
        _check_counts(train_folder, train, classes, ignored, least=2)
        return ImageFolder(root, classes, train, None, ignored.total())
    _check_same(classes, _classes(val_folder), train_folder, val_folder)
    val = _files(root, val_folder, classes, ignored)
    for folder, files in ((train_folder, train), (val_folder, val)):
        _check_counts(folder, files, classes, ignored, least=1)
    return ImageFolder(root, classes, train, val, ignored.total())


def _split_folders(root: Path) -> tuple[Path, Path | None]:
    """Where the class folders for training are, and for the held-out images if they are apart."""
    train = root / _TRAIN
    if not (train.is_dir() and folders_in(train)):
        return root, None
    for name in _HELD_OUT:
        if (root / name).is_dir() and folders_in(root / name):
            return train, root / name
    others = {path.name for path in folders_in(root)} - {_TRAIN, *_HELD_OUT}
    return (root, None) if others else (train, None)


def _classes(folder: Path) -> tuple[str, ...]:
    names = tuple(path.name for path in folders_in(folder))
    if not names:
        raise DataError(f"{str(folder)!r} holds no class folders; {_ADVICE}")
    if len(names) == 1:
        raise DataError(
            f"{str(folder)!r} holds a single class, {names[0]!r}; at least 2 are needed"
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
    root: Path, folder: Path, classes: Sequence[str], ignored: Counter[str]
) -> tuple[ImageFile, ...]:
    below = len(str(root / "_")) - 1
    return tuple(
        ImageFile(path[below:], label)
        for label, name in enumerate(classes)
        for path in find_images(folder / name, ignored)
    )


def _check_same(
    train: tuple[str, ...], val: tuple[str, ...], train_folder: Path, val_folder: Path
) -> None:
    differences = [
        f"{_named(sorted(set(some) - set(others)))} only in {folder.name!r}"
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
    ignored: Counter[str],
    *,
    least: int,
) -> None:
    if not files:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in ignored.most_common(_NAMED))
        found = f" (other files: {kinds})" if kinds else ""
        raise DataError(f"{str(folder)!r} holds no images{found}; read are {' '.join(SUFFIXES)}")
    counts = Counter(file.label for file in files)
    few = [name for label, name in enumerate(classes) if counts[label] < least]
    if few:
        raise DataError(
            f"{str(folder)!r}: every class needs at least {least} "
            f"{'image' if least == 1 else 'images, one to learn from and one held out'}, but "
            f"{_named(few)} {'has' if len(few) == 1 else 'have'} fewer; add images or move the "
            "folder away"
        )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more

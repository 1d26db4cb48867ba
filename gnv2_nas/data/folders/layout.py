"""Finds the class folders: in the folder itself, or below the two sides of a split.

Names and contents of folders decide together, because a class may be called "train". An ambiguous
folder is refused; the message says what to rename or move for either meaning.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from gnv2_nas.data.folders.file_kinds import describe_other_files
from gnv2_nas.data.folders.split_names import (
    NO_SIDE,
    TRAIN,
    is_annotation,
    is_filler,
    is_not_class,
    parse_split_name,
)
from gnv2_nas.data.folders.walking import contains_images, count_images, find_images, list_folders
from gnv2_nas.errors import DataError

_NAMED = 5


class Layout(NamedTuple):
    """Folders that contain the class folders."""

    train: Path
    val: Path | None = None
    """None if the folder is not split."""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class _Side(NamedTuple):
    """A folder with the name of a side of a split."""

    path: Path
    number: int
    classes: frozenset[str]
    """Names of its folders in lower case; none if they are only "images" and "labels"."""


def find_layout(root: Path) -> Layout:
    """Find the class folders of a folder.

    Raises:
        DataError: folders that look like a split but cannot be used as one.
    """
    folders = list_folders(root)
    sides = _sides(root, folders)
    if not sides:
        return Layout(root)
    named = {side.path for side in sides}
    others = [path for path in folders if path not in named and _holds_images(path)]
    train = [side for side in sides if side.number == TRAIN]
    held_out = [side for side in sides if side.number != TRAIN]
    deep = [[side for side in some if side.classes] for some in (train, held_out)]
    if all(deep):
        return _use_split(root, deep[0], deep[1], _flat(sides, split=True), others)
    classes = [path for path in others if not is_annotation(path.name)]
    if classes and not _is_a_side(sides, classes):
        names = [side.path.name for side in sides if _holds_images(side.path)]
        taken = f"taken for classes, not for sides of a split: {quote_names(names)}"
        return Layout(root, notes=(taken,) if names else ())
    if deep[0]:
        _check_only(root, deep[0])
        _check_no_classes(root, deep[0], classes)
        return Layout(deep[0][0].path, None, _unused(others), _flat(sides, split=False))
    if deep[1]:
        _check_no_classes(root, deep[1], classes)
    raise _unusable(root, train, held_out)


def check_class_folders(
    folder: Path, inner: Sequence[tuple[str, frozenset[str]]]
) -> tuple[str, ...]:
    """Refuse class folders that may be sides of a split or groups of classes.

    Args:
        inner: each class folder with the folders in it that contain images; "" stands for the
            class folder itself.

    Returns:
        A warning if all class folders share some folder names but not all.

    Raises:
        DataError: the sides of a split lie below the classes, or all class folders contain the
            same folders.
    """
    for name, names in inner:
        sides = [each for each in sorted(names) if parse_split_name(each).side != NO_SIDE]
        if len({parse_split_name(each).side == TRAIN for each in sides}) < 2:
            continue
        advice = (
            f"give {str(folder / name)!r}"
            if len(inner) == 1
            else f"sides come first and classes below them: make {str(folder / 'train' / name)!r} "
            f"and {str(folder / 'val' / name)!r}, or rename these folders if they are no sides"
        )
        raise DataError(
            f"{str(folder / name)!r} holds {quote_names(sides)}, the sides of a split; {advice}"
        )
    if len(inner) < 2:
        return ()
    below = [{each.casefold() for each in names} for _, names in inner]
    common = frozenset.intersection(*map(frozenset, below))
    shared = sorted(each for each in inner[0][1] if each and each.casefold() in common)
    if not shared or all(map(is_filler, shared)):
        return ()
    classes = [name for name, _ in inner]
    if "" in common or any(names != common for names in below):
        return (
            f"every class folder of {str(folder)!r} ({quote_names(classes)}) holds a folder "
            f"{shared[0]!r}; check that the classes are {quote_names(classes)}, and not "
            f"folders such as {shared[0]!r}",
        )
    raise DataError(
        f"{str(folder)!r}: every class folder ({quote_names(classes)}) holds the same folders "
        f"({quote_names(shared)}), so either may be the classes; if these are the sides of a "
        f"split, name them 'train' and 'val'; if {classes[0]!r} is a class, move its images up "
        f"into it; if {shared[0]!r} is one, put {str(Path(classes[0], shared[0]))!r} and the like "
        f"into one folder {shared[0]!r}"
    )


def _sides(root: Path, folders: Sequence[Path]) -> list[_Side]:
    """Find the folders that are sides of one split."""
    of_rest: dict[tuple[str, ...], list[_Side]] = defaultdict(list)
    for path in folders:
        number, rest = parse_split_name(path.name)
        if number != NO_SIDE:
            of_rest[rest].append(_Side(path, number, _class_names(path)))
    if () in of_rest:
        return of_rest[()]
    pairs = [sides for sides in of_rest.values() if len({s.number == TRAIN for s in sides}) == 2]
    if len(pairs) > 1 or (pairs and not any(side.classes for side in pairs[0])):
        named = [side.path.name for side in pairs[0]]
        raise DataError(
            f"{str(root)!r}: the names of {quote_names(named)} differ only in the side of a split; "
            "make folders 'train' and 'val', with a folder of each class in both, or give these "
            "folders other names if each of them is a class"
        )
    return pairs[0] if pairs else []


def _holds_images(folder: Path) -> bool:
    """Whether a folder contains images; False if it cannot be read."""
    try:
        return contains_images(folder)
    except (DataError, OSError):
        return False


def _class_names(side: Path) -> frozenset[str]:
    folders = list_folders(side)
    if all(is_not_class(path.name) and not list_folders(path) for path in folders):
        return frozenset()
    return frozenset(path.name.casefold() for path in folders)


def _use_split(
    root: Path,
    train: list[_Side],
    deep: list[_Side],
    warnings: tuple[str, ...],
    others: list[Path],
) -> Layout:
    _check_only(root, train)
    first = min(side.number for side in deep)
    taken = [side for side in deep if side.number == first]
    _check_only(root, taken)
    unused = [side.path for side in deep if side.number != first]
    return Layout(train[0].path, taken[0].path, _unused([*unused, *others]), warnings)


def _is_a_side(sides: Sequence[_Side], classes: Sequence[Path]) -> bool:
    """Whether one of `sides` cannot be a class beside `classes`.

    That is so if it contains folders and they contain images, or if folder names coincide.
    """
    names = {path.name.casefold() for path in classes}
    flat = not any(list_folders(path) for path in classes)
    return any(
        side.classes & names or (flat and side.classes and not count_images(side.path))
        for side in sides
    )


def _check_only(root: Path, sides: Sequence[_Side]) -> None:
    if len(sides) > 1:
        names = [side.path.name for side in sides]
        raise DataError(
            f"{str(root)!r}: {quote_names(names)} are the same side of a split by their names; "
            "move away or rename all but one"
        )


def _check_no_classes(root: Path, sides: Sequence[_Side], classes: Sequence[Path]) -> None:
    if classes:
        side = sides[0].path.name
        raise DataError(
            f"{str(root)!r}: {side!r} holds folders, as a side of a split does, beside "
            f"{quote_names([path.name for path in classes])}; if {side!r} is a class, move its "
            "images up into it or rename it; if not, make 'train' and 'val' and move the other "
            "folders into one of them"
        )


def _unusable(root: Path, train: Sequence[_Side], held_out: Sequence[_Side]) -> DataError:
    """Explain why folders with the names of sides cannot be used."""
    flat = [side.path.name for side in (*train, *held_out) if not side.classes]
    if not flat:
        names = [side.path.name for side in held_out]
        return DataError(
            f"{str(root)!r}: {quote_names(names)} {_are(names)} held out by name, and there is no "
            "folder 'train' beside; add it, or give one of them alone and it will be split: "
            f"{str(held_out[0].path)!r}"
        )
    return DataError(
        f"{str(root)!r}: {quote_names(flat)} {_are(flat)} named like the sides of a split and "
        f"{'holds' if len(flat) == 1 else 'hold'} no class folders; make a folder for each class "
        f"in every one of them, for example {str(Path(flat[0], 'cat', '1.jpg'))!r}, or give them "
        "other names if they are classes"
    )


def _flat(sides: Iterable[_Side], *, split: bool) -> tuple[str, ...]:
    """Warn of sides whose images are not in class folders."""
    warnings = []
    instead = "" if split else "; images of the training folder are held out instead"
    for side in sides:
        if side.classes:
            continue
        others: Counter[str] = Counter()
        images = len(find_images(side.path, others))
        if images:
            why = f"its {images:,} images are in no class folders, so their classes are unknown"
        else:
            why = f"it holds no images{describe_other_files([others])}"
        warnings.append(f"{str(side.path)!r} is not used: {why}{instead}")
    return tuple(warnings)


def _unused(folders: Sequence[Path]) -> tuple[str, ...]:
    if not folders:
        return ()
    names = [path.name for path in folders]
    return (f"other folders are not used: {quote_names(names)}",)


def quote_names(names: Sequence[str]) -> str:
    """Quote the first names and count the others."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"

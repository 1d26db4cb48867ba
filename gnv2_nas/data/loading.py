"""`load_dataset`: from a folder of class folders, or the built-in digits, to labelled images."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gnv2_nas.data.augmentation import DIGITS_AUGMENTATION, Augmentation
from gnv2_nas.data.dataset import (
    Dataset,
    FileSplit,
    LabelledImage,
    Sides,
    Split,
    StoredSplit,
    measure_preprocessing,
    split_stratified,
)
from gnv2_nas.data.folders.source import DIGIT_CLASSES, DIGITS, ImageFile, ImageFolder, scan_folder
from gnv2_nas.data.image_store import MAX_STORED_BYTES, DecodedImages, Findings, decode_images
from gnv2_nas.data.report import DataReport, SkippedFile, UnreadFiles
from gnv2_nas.errors import DataError

DIGITS_FILE = Path(__file__).with_name("digits.npz")
DIGITS_HELD_OUT = 0.25
_SIDE = 8
_WHITE = 16


def read_digits() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read the file: pixels 0..16 of shape (N, 8, 8), and labels of shape (N,)."""
    with np.load(DIGITS_FILE, allow_pickle=False) as arrays:
        return arrays["images"], arrays["labels"]


def load_digits(*, seed: int, held_out: float = DIGITS_HELD_OUT) -> Dataset:
    """Load the digits, stored at their own size.

    Raises:
        DataError: `held_out` is not in 0..1.
    """
    pixels, labels = read_digits()
    grey = (torch.from_numpy(pixels).double() * 255 / _WHITE).round().to(torch.uint8)
    stored = grey[:, None].expand(-1, 3, -1, -1).contiguous()
    images = [
        LabelledImage(row, f"image {row}", label, hashlib.sha256(image.numpy()).hexdigest())
        for row, (label, image) in enumerate(zip(labels.tolist(), grey, strict=True))
    ]
    sides = split_stratified(images, DIGIT_CLASSES, held_out=held_out, seed=seed)
    train, val = (StoredSplit.of(stored, side) for side in sides)
    return Dataset(
        name=DIGITS,
        classes=DIGIT_CLASSES,
        train=train,
        val=val,
        preprocessing=measure_preprocessing(train, DIGIT_CLASSES),
        side=_SIDE,
        content_hash=sides.content_hash(DIGIT_CLASSES),
        report=DataReport(sides.counts(DIGIT_CLASSES)),
        augmentation=DIGITS_AUGMENTATION,
        source=DIGITS,
    )


FOLDER_HELD_OUT = 0.2
MAX_SKIPPED_SHARE = 0.05
"""A larger share of unusable images points to a mistake that skipping them would hide."""
_NAMED = 3


def load_dataset(
    source: str,
    side: int,
    *,
    seed: int = 0,
    held_out: float | None = None,
    workers: int | None = None,
    stored_bytes: int = MAX_STORED_BYTES,
    progress: Callable[[float], None] | None = None,
) -> Dataset:
    """Load the labelled images of "digits", or of a folder of class folders.

    Args:
        side: width that the images of a folder are stored at, pixels: the largest resolution of
            the networks. The digits keep their 8 pixels.
        seed: seed of the split, unless the folder is split already.
        held_out: share of held-out images, 0..1; None means 0.25 of the digits and 0.2 of a
            folder that is not split.
        workers: number of decoding threads; None means one for each core.
        stored_bytes: decoded size up to which all images are kept decoded.
        progress: called with the finished share of the work, 0..1.

    Raises:
        DataError: the images cannot be used; the message says why and what to do.
    """
    if held_out is None:
        held_out = DIGITS_HELD_OUT if source == DIGITS else FOLDER_HELD_OUT
    if source == DIGITS:
        return load_digits(seed=seed, held_out=held_out)
    folder = scan_folder(source)
    files = folder.train + (folder.val or ())
    names = [file.name for file in files]
    read = decode_images(
        folder.root, names, side, workers=workers, stored_bytes=stored_bytes, progress=progress
    )
    _check_skipped(source, names, read.findings)
    sides = _split(folder, _usable(files, read.findings), held_out, seed)
    report = _report(folder, names, read, sides)
    stored = None if read.pixels is None else torch.from_numpy(read.pixels)

    def make_split(images: list[LabelledImage]) -> Split:
        if stored is not None:
            return StoredSplit.of(stored, images)
        return FileSplit.of(folder.root, images, side, workers)

    train = make_split(sides.train)
    return Dataset(
        name=folder.root.resolve().name,
        classes=folder.classes,
        train=train,
        val=make_split(sides.val),
        preprocessing=measure_preprocessing(train, folder.classes),
        side=side,
        content_hash=sides.content_hash(folder.classes),
        report=report,
        augmentation=Augmentation(),
        source=source,
    )


def _check_skipped(source: str, names: Sequence[str], findings: Findings) -> None:
    count = len(findings.reasons)
    if count <= MAX_SKIPPED_SHARE * len(names):
        return
    first = list(findings.reasons.items())[:_NAMED]
    named = ", ".join(f"{names[row]!r} ({reason})" for row, reason in first)
    raise DataError(
        f"{source!r}: {count:,} of {len(names):,} images cannot be used, more than "
        f"{MAX_SKIPPED_SHARE:.0%}: {named}{', …' if count > _NAMED else ''}; "
        "replace or remove them"
    )


def _usable(files: Sequence[ImageFile], findings: Findings) -> list[LabelledImage]:
    identities = zip(files, findings.digests, findings.file_digests, strict=True)
    return [
        LabelledImage(row, file.name, file.label, digest, file_digest)
        for row, (file, digest, file_digest) in enumerate(identities)
        if row not in findings.reasons
    ]


def _split(folder: ImageFolder, images: list[LabelledImage], held_out: float, seed: int) -> Sides:
    if folder.val is None:
        return split_stratified(images, folder.classes, held_out=held_out, seed=seed)
    first_val = len(folder.train)
    return Sides(
        [image for image in images if image.row < first_val],
        [image for image in images if image.row >= first_val],
    )


def _report(
    folder: ImageFolder, names: Sequence[str], read: DecodedImages, sides: Sides
) -> DataReport:
    classes = folder.classes
    totals = Counter(file.label for file in (*folder.train, *(folder.val or ())))
    for other in folder.others:
        totals[other.label] += other.files
    return DataReport(
        sides.counts(classes),
        tuple(SkippedFile(names[row], reason) for row, reason in read.findings.reasons.items()),
        folder.ignored,
        tuple(
            UnreadFiles(other.suffix, classes[other.label], other.files, totals[other.label])
            for other in folder.others
        ),
        notes=(*folder.notes, read.note) if read.note else folder.notes,
        warnings=(*folder.warnings, *read.findings.warnings, *_warn_of_duplicates(sides)),
    )


def _warn_of_duplicates(sides: Sides) -> tuple[str, ...]:
    """Warn of equal pictures on both sides of the split or in two classes."""
    warnings = []
    train = {image.digest: image for image in reversed(sides.train)}
    seen = [image for image in sides.val if image.digest in train]
    if seen:
        warnings.append(
            f"{len(seen):,} held-out images are equal to training images, for example "
            f"{seen[0].name!r} to {train[seen[0].digest].name!r}; the accuracy on them says "
            "nothing about new images"
        )
    first: dict[str, LabelledImage] = {}
    contrary = [
        (image, first[image.digest])
        for image in (*sides.train, *sides.val)
        if first.setdefault(image.digest, image).label != image.label
    ]
    if contrary:
        image, other = contrary[0]
        more = f", and so are {len(contrary) - 1:,} more" if len(contrary) > 1 else ""
        warnings.append(
            f"{image.name!r} is equal to an image of another class, {other.name!r}{more}; one of "
            "the two labels is wrong"
        )
    return tuple(warnings)

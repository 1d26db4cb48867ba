"""A data set from a folder of class folders.

`FileSplit` is a split of a set too large to keep decoded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gnv2_nas.data.augmentation import Augmentation
from gnv2_nas.data.cache import Findings
from gnv2_nas.data.dataset import Dataset, Split, StoredSplit, measure_preprocessing
from gnv2_nas.data.decoded import MAX_STORED_BYTES, DecodedImages, decode_files, decode_images
from gnv2_nas.data.folders.source import ImageFile, ImageFolder, scan_folder
from gnv2_nas.data.report import DataReport, SetAside, SkippedFile
from gnv2_nas.data.splitting import LabelledImage, Sides, split_stratified
from gnv2_nas.errors import DataError


@dataclass(frozen=True)
class FileSplit:
    """A split whose images are decoded whenever they are asked for."""

    root: Path
    names: Sequence[str]
    labels: Tensor
    side: int
    workers: int | None

    @classmethod
    def of(
        cls, root: Path, images: Sequence[LabelledImage], side: int, workers: int | None
    ) -> FileSplit:
        """The split that these images make up."""
        labels = torch.tensor([image.label for image in images])
        return cls(root, [image.name for image in images], labels, side, workers)

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: Tensor) -> Tensor:
        """See `Split`."""
        names = [self.names[index] for index in indices.tolist()]
        pixels = []
        results = decode_files([self.root / name for name in names], self.side, self.workers)
        for name, result in zip(names, results, strict=True):
            if result.pixels is None:
                raise DataError(
                    f"image {name!r} in {str(self.root)!r} could be decoded before and cannot "
                    f"be now ({result.reason}); leave the folder as it is while it is in use"
                )
            pixels.append(result.pixels)
        return torch.from_numpy(np.stack(pixels))


FOLDER_HELD_OUT = 0.2
MAX_SKIPPED_SHARE = 0.05
"""With more damaged images than this, something is wrong that skipping would hide."""
_NAMED = 3


def load_folder(
    source: str,
    side: int,
    *,
    seed: int,
    held_out: float = FOLDER_HELD_OUT,
    workers: int | None = None,
    stored_bytes: int = MAX_STORED_BYTES,
    progress: Callable[[float], None] | None = None,
) -> Dataset:
    """The images of a folder; see `load_dataset`.

    Raises:
        DataError: see `folders`; or too many images are damaged, or too few are left.
    """
    folder = scan_folder(source)
    files = folder.train + (folder.val or ())
    names = [file.name for file in files]
    read = decode_images(
        folder.root, names, side, workers=workers, stored_bytes=stored_bytes, progress=progress
    )
    _check_share(source, names, read.findings)
    sides = _sides(folder, _usable(files, read.findings), held_out, seed)
    report = _report(folder, names, read, sides)
    stored = None if read.pixels is None else torch.from_numpy(read.pixels)

    def split(images: list[LabelledImage]) -> Split:
        if stored is not None:
            return StoredSplit.of(stored, images)
        return FileSplit.of(folder.root, images, side, workers)

    train = split(sides.train)
    return Dataset(
        name=folder.root.resolve().name,
        classes=folder.classes,
        train=train,
        val=split(sides.val),
        preprocessing=measure_preprocessing(train, folder.classes),
        side=side,
        content_hash=sides.content_hash(folder.classes),
        report=report,
        augmentation=Augmentation(),
    )


def _check_share(source: str, names: Sequence[str], findings: Findings) -> None:
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


def _sides(folder: ImageFolder, images: list[LabelledImage], held_out: float, seed: int) -> Sides:
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
            SetAside(other.suffix, classes[other.label], other.files, totals[other.label])
            for other in folder.others
        ),
        notes=(*folder.notes, read.note) if read.note else folder.notes,
        warnings=(*folder.warnings, *read.findings.warnings, *_repeated(sides)),
    )


def _repeated(sides: Sides) -> tuple[str, ...]:
    """What equal pictures in different places do to an accuracy."""
    warnings = []
    train = {image.digest: image for image in reversed(sides.train)}
    seen = [image for image in sides.val if image.digest in train]
    if seen:
        warnings.append(
            f"{len(seen):,} held-out images are equal to training images, for example "
            f"{seen[0].name!r} to {train[seen[0].digest].name!r}; they say nothing about images "
            "never seen"
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

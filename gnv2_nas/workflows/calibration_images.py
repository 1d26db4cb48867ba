"""Images that show the range of every feature map, for weights at 8 bits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.arch import Preprocessing
from gnv2_nas.errors import DataError, InputError
from gnv2_nas.workflows.events import Events, Message, ignore, report_task

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset

MAX_IMAGES = 256
"""Images read from a folder; more hardly move the ranges."""


def read_calibration_images(
    source: Path, resolution: int, preprocessing: Preprocessing | None, events: Events = ignore
) -> NDArray[np.float32]:
    """Read the images of a folder, searched at any depth, or of an .npy file.

    Args:
        source: the folder or file.
        resolution: height and width in pixels.
        preprocessing: how an image becomes the input of the weights.
        events: told about files that cannot be used.

    Returns:
        (N, 3, resolution, resolution), prepared as for inference.

    Raises:
        InputError: there are no images, or `preprocessing` is None for a folder.
    """
    from gnv2_nas.runtimes.quantization import read_images

    pixels = (
        _read_folder(source, resolution, preprocessing, events) if source.is_dir() else str(source)
    )
    images = read_images(pixels, resolution, preprocessing)
    if images is None:
        raise InputError("--calibration-images: give a folder of images or an .npy file")
    return images


def find_training_images(weights: Path, given: str = "") -> str:
    """Return where the images are that trained weights were trained on. Reads no image.

    Args:
        weights: the weight file, which may name them.
        given: where they are instead; "" for what the file names.

    Raises:
        InputError: the file names no images that are there.
    """
    from gnv2_nas.checkpoints.checkpoint import read_training
    from gnv2_nas.data import check_source

    record = read_training(weights)
    if record is None:
        raise InputError(
            f"int8 needs images to calibrate on, and {str(weights)!r} does not say what it was "
            "trained on: give --calibration-images"
        )
    source = given or record.source or record.data
    try:
        check_source(source)
    except DataError as error:
        if given:
            raise
        raise InputError(
            f"int8 needs images to calibrate on, and those that {str(weights)!r} was trained on "
            f"are not here ({error}): give --data or --calibration-images"
        ) from None
    return source


def read_training_images(
    weights: Path, source: str, resolution: int, events: Events = ignore
) -> NDArray[np.float32]:
    """Return images that weights were trained on, prepared as for inference.

    Args:
        weights: the weight file.
        source: see `find_training_images`.
        resolution: height and width in pixels.
        events: told how many there are.

    Returns:
        (N, 3, resolution, resolution), see `select_calibration_images`.

    Raises:
        InputError: the weights were trained on other images.
    """
    from gnv2_nas.checkpoints.checkpoint import read_training
    from gnv2_nas.data import load_dataset

    record = read_training(weights)
    with report_task(events, f"reading the images of {source}") as report:
        dataset = load_dataset(source, resolution, progress=report)
    if record is None or dataset.content_hash != record.data_hash:
        raise InputError(
            f"{source!r} does not hold the images that {str(weights)!r} was trained on, or they "
            "have changed: give --data with the right folder, or --calibration-images"
        )
    images = select_calibration_images(dataset, resolution)
    events(Message(f"calibrated on {len(images)} training images of {source}"))
    return images


def select_calibration_images(dataset: Dataset, resolution: int) -> NDArray[np.float32]:
    """Return evenly spaced training images of a data set, prepared as for inference.

    Returns:
        (N, 3, resolution, resolution), of at most `MAX_IMAGES` images.

    Raises:
        DataError: an image can no longer be read.
    """
    from gnv2_nas.data import prepare_images

    count = min(MAX_IMAGES, len(dataset.train))
    rows = [number * len(dataset.train) // count for number in range(count)]
    return prepare_images(dataset.train, rows, resolution, dataset.preprocessing)


def _read_folder(
    source: Path, resolution: int, preprocessing: Preprocessing | None, events: Events
) -> NDArray[np.uint8]:
    if preprocessing is None:
        raise InputError(
            f"calibration images {str(source)!r}: the weights do not say how an image becomes "
            "their input; give an .npy file of float32 images (N, 3, H, W), prepared as for use"
        )
    from gnv2_nas.data.folders.file_kinds import describe_other_files
    from gnv2_nas.data.folders.walking import find_images
    from gnv2_nas.data.image_store import decode_files
    from gnv2_nas.data.value_range import describe_ranges

    others: Counter[str] = Counter()
    found = find_images(source, others)
    count = min(MAX_IMAGES, len(found))
    chosen = [found[index * len(found) // count] for index in range(count)]
    decoded = decode_files(list(map(Path, chosen)), resolution, identify=True)
    usable = [each.pixels for each in decoded if each.pixels is not None]
    skipped = [
        (name, each.reason) for name, each in zip(chosen, decoded, strict=True) if each.reason
    ]
    why = f"; {len(skipped)} cannot be used, {skipped[0][0]!r}: {skipped[0][1]}" if skipped else ""
    if not usable:
        raise InputError(
            f"calibration images {str(source)!r}: the folder holds no image that can be used"
            f"{describe_other_files([others])}{why}"
        )
    events(
        Message(
            f"calibrated on {len(usable)} images of {source}{describe_other_files([others])}{why}"
        )
    )
    for warning in describe_ranges([each.values for each in decoded if each.values]):
        events(Message(f"warning: {warning}"))
    return np.stack(usable)

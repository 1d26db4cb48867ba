"""Images that show the range of every feature map, for weights at 8 bits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.arch import Preprocessing
from gnv2_nas.errors import InputError
from gnv2_nas.workflows.events import Events, Message, ignore

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

"""Images that show how far the feature maps of exported weights reach, at 8 bits."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gnv2_nas.arch import Preprocessing
from gnv2_nas.cli.console import say
from gnv2_nas.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 256
"""Images of a folder; more move the ranges little."""


def calibration_images(
    source: Path, resolution: int, preprocessing: Preprocessing | None
) -> NDArray[np.float32]:
    """The images in a folder, at any depth, or in an .npy file, prepared as for inference.

    Raises:
        InputError: there are none, or nothing says how an image becomes an input.
    """
    from gnv2_nas.runtimes.quantization import read_images

    pixels = str(source) if not source.is_dir() else _folder(source, resolution, preprocessing)
    images = read_images(pixels, resolution, preprocessing)
    if images is None:
        raise InputError("--calibration-images: a folder of images or an .npy file is needed")
    return images


def _folder(
    source: Path, resolution: int, preprocessing: Preprocessing | None
) -> NDArray[np.uint8]:
    if preprocessing is None:
        raise InputError(
            f"calibration images {str(source)!r}: the weights do not say how an image becomes "
            "their input; give an .npy file of float32 images (N, 3, H, W), prepared as for use"
        )
    from gnv2_nas.data.decoded import decode_files
    from gnv2_nas.data.folders.file_kinds import describe_other_files
    from gnv2_nas.data.folders.walking import find_images
    from gnv2_nas.data.value_range import describe_ranges

    others: Counter[str] = Counter()
    found = find_images(source, others)
    count = min(MOST, len(found))
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
    say(f"calibrated on {len(usable)} images of {source}{describe_other_files([others])}{why}")
    for warning in describe_ranges([each.values for each in decoded if each.values]):
        say(f"warning: {warning}")
    return np.stack(usable)

"""`load_dataset`: from the name of a data set to its images."""

from __future__ import annotations

from collections.abc import Callable

from gnv2_nas.data.dataset import Dataset
from gnv2_nas.data.digits import DIGITS_HELD_OUT, load_digits
from gnv2_nas.data.folder_dataset import FOLDER_HELD_OUT, load_folder
from gnv2_nas.data.folders.source import DIGITS


def load_dataset(
    source: str,
    side: int,
    *,
    seed: int = 0,
    held_out: float | None = None,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Dataset:
    """Labelled images of "digits", or of a folder of class folders.

    Args:
        side: pixels that the images of a folder are stored at: the largest resolution a network
            sees. The digits stay at 8.
        seed: of the split, where the folder does not make one.
        held_out: share of the images held out, in 0..1; None means 0.25 of the digits and 0.2 of
            a folder that is not split.
        workers: threads that decode; None means one for each core.
        progress: is told the share of the work done, in 0..1.

    Raises:
        DataError: the images cannot be used; the message says why and what to do.
    """
    if source == DIGITS:
        return load_digits(seed=seed, held_out=DIGITS_HELD_OUT if held_out is None else held_out)
    return load_folder(
        source,
        side,
        seed=seed,
        held_out=FOLDER_HELD_OUT if held_out is None else held_out,
        workers=workers,
        progress=progress,
    )

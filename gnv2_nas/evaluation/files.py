"""The answers of a deployed file on the held-out images, in the runtime that it is for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.data import Dataset, prepare_images
from gnv2_nas.runner.timing import Session

IMAGES_AT_ONCE = 64
"""Images that are prepared together; a file classifies them one by one."""


def answer_images(
    session: Session,
    dataset: Dataset,
    resolution: int,
    progress: Callable[[float], None] = lambda _: None,
) -> NDArray[np.bool_]:
    """Return which held-out images a file classifies correctly: (images,), in their order.

    Args:
        session: the file, loaded in its runtime.
        dataset: the images.
        resolution: of the network, pixels.
        progress: receives the share of the images that is done, 0 to 1.

    Raises:
        DataError: an image can no longer be read.
    """
    labels, found = dataset.val.labels.numpy(), list[int]()
    for start in range(0, len(labels), IMAGES_AT_ONCE):
        rows = range(start, min(start + IMAGES_AT_ONCE, len(labels)))
        for image in prepare_images(dataset.val, rows, resolution, dataset.preprocessing):
            session.set_image(image[None])
            found.append(int(session.logits().argmax()))
        progress(len(found) / len(labels))
    right: NDArray[np.bool_] = np.array(found) == labels
    return right

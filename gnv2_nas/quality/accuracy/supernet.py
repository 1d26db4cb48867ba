"""Accuracy of a network on held-out images, with weights from a supernet.

The weights of a network are slices of the shared ones. Its batch-norm statistics are recalibrated
on training images before every evaluation, because a supernet has none that fit all networks.
Without them every network would answer at random.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from gnv2_nas.arch import Architecture
from gnv2_nas.data import Dataset
from gnv2_nas.data.batches import PreprocessedImages, sample_indices
from gnv2_nas.errors import CheckpointError, DataError
from gnv2_nas.nn import Network, fold_batch_norm, run_graph
from gnv2_nas.nn.interpreter import cached_lower
from gnv2_nas.nn.supernet import Supernet, recalibrate
from gnv2_nas.nn.supernet.supernet import SupernetRecord, load_supernet
from gnv2_nas.quality.base import ESTIMATORS, EstimatorInfo, QualityContext, check_space_matches
from gnv2_nas.stats.intervals import Z95
from gnv2_nas.training.context import choose_device, limit_threads

CALIBRATION_IMAGES = 512
"""Images for recalibration: four batches rank networks like the whole training set does."""
HELD_OUT_IMAGES = 10_000
"""Maximum; more images would change an accuracy by less than half a per cent."""


class SupernetAccuracy:
    """The quality estimator `supernet:FILE`.

    Args:
        path: a supernet that `gnv2-nas train supernet` wrote.
        context: the images, and the space of a search.

    Raises:
        CheckpointError: the file holds no supernet, or one of another space or other classes.
        DataError: there are no images.
    """

    def __init__(self, path: Path | None, context: QualityContext) -> None:
        if path is None or context.dataset is None:
            raise DataError("supernet accuracy needs a supernet file and images: give --data DIR")
        supernet, record = load_supernet(path)
        self.record = record
        check_space_matches(path, "supernet", record, context.space)
        _check_classes(path, record, context.dataset)
        self.device = choose_device(None)
        self.supernet: Supernet = supernet.to(self.device).eval()
        data = context.dataset
        self._calibration = self._images(data, record, "train", CALIBRATION_IMAGES)
        self._held_out = self._images(data, record, "val", HELD_OUT_IMAGES)
        self._labels = self._held_out.labels.to(self.device)
        self.info: EstimatorInfo = _info(record, data, len(self._labels))

    @limit_threads()
    @torch.no_grad()
    def score(self, arch: Architecture) -> float:
        """Measure the accuracy on the held-out images, per cent, after recalibration.

        Raises:
            InputError: the network is not inside the supernet; the message names the field.
        """
        tensors = self.supernet.tensors(arch)
        graph, weights = fold_batch_norm(
            cached_lower(arch), tensors, self._statistics(arch, tensors)
        )
        with torch.inference_mode():
            answers = [
                run_graph(graph, weights, images).argmax(1)
                for images in self._held_out.batches(arch.resolution)
            ]
        right = (torch.cat(answers) == self._labels).sum().item()
        return 100 * right / len(self._labels)

    @limit_threads()
    @torch.no_grad()
    def extract(self, arch: Architecture) -> Network:
        """Make a plain module with its own copy of the weights, recalibrated.

        Raises:
            InputError: the network is not inside the supernet; the message names the field.
        """
        return self.supernet.extract(arch, self._statistics(arch, self.supernet.tensors(arch)))

    def _statistics(self, arch: Architecture, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return recalibrate(arch, tensors, self._calibration.batches(arch.resolution))

    def _images(
        self, dataset: Dataset, record: SupernetRecord, which: str, wanted: int
    ) -> PreprocessedImages:
        split = dataset.train if which == "train" else dataset.val
        indices = sample_indices(len(split), wanted, seed=0)
        return PreprocessedImages(split, indices, record.preprocessing, self.device)


def accuracy_noise(accuracy: float, images: int) -> float:
    """Half-width of the 95% interval of the difference of two accuracies, per cent.

    It is an upper bound, because both are measured on the same images. Accuracies near 0 or 1 are
    shrunk towards 0.5 as by Agresti & Coull (Am. Stat. 52, 1998).
    """
    share = (accuracy * images + 2) / (images + 4)
    return 100 * Z95 * math.sqrt(2 * share * (1 - share) / (images + 4))


def describe_leakage(record: SupernetRecord, dataset: Dataset) -> str:
    """Say why a supernet may have been trained on the held-out images; "" if it was not."""
    if record.data_hash == dataset.content_hash:
        return ""
    return (
        "some of which it may have been trained on: it was trained on other data, or on another "
        "split of these"
    )


def _info(record: SupernetRecord, dataset: Dataset, images: int) -> EstimatorInfo:
    note = f"{ESTIMATORS['supernet'].note}; {images} images of {dataset.name}"
    if seen := describe_leakage(record, dataset):
        note += f", {seen}"
    return msgspec.structs.replace(
        ESTIMATORS["supernet"],
        note=note,
        noise=accuracy_noise(record.largest_accuracy, images),
        supernet_spec=record.supernet_spec,
    )


def _check_classes(path: Path, record: SupernetRecord, dataset: Dataset) -> None:
    known, given = record.preprocessing.classes, dataset.classes
    if len(known) != len(given):
        raise CheckpointError(
            f"{path}: a supernet for {len(known)} classes, but {dataset.name!r} has {len(given)}; "
            "train one on these images with gnv2-nas train supernet"
        )
    for number, (one, other) in enumerate(zip(known, given, strict=True)):
        if one != other:
            raise CheckpointError(
                f"{path}: class {number} is {one!r} for the supernet and {other!r} in "
                f"{dataset.name!r}; the classes must be the same"
            )

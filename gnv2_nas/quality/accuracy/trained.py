"""Accuracy after a short training: hopeless trainings are stopped early, results are kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import DataError
from gnv2_nas.files.journal import Journal
from gnv2_nas.files.outputs import Kind, holds_fields
from gnv2_nas.graph import count
from gnv2_nas.quality.base import ESTIMATORS, EstimatorInfo, QualityContext
from gnv2_nas.training import Recipe, TrainingPoint, default_recipe, train_network

if TYPE_CHECKING:
    from torch import Tensor

    from gnv2_nas.data import Dataset


class AccuracyRecord(msgspec.Struct, frozen=True):
    """The accuracy of one network."""

    network: str
    """`Architecture.id` of the network."""
    seed: int
    conditions: str
    """Hash of everything else that decides the accuracy."""
    accuracy: float
    """Accuracy on held-out images, per cent."""
    seconds: float


ACCURACIES = Kind(
    "the accuracies found so far",
    lambda path: path.stat().st_size == 0 or holds_fields(path, "network", "seed", "accuracy"),
)


class AccuracyJournal:
    """Accuracies of networks under the same conditions, one line each in a file.

    Args:
        path: the file; it may also contain accuracies under other conditions.
        conditions: everything that decides an accuracy besides network and seed.
    """

    def __init__(self, path: Path, *conditions: str) -> None:
        self._journal = Journal(path, AccuracyRecord)
        self._conditions = hashlib.sha256(" ".join(conditions).encode()).hexdigest()[:12]
        self._known = {
            (each.network, each.seed): each
            for each in self._journal.read()
            if each.conditions == self._conditions
        }

    def find(self, arch: Architecture, seed: int) -> AccuracyRecord | None:
        """Return the accuracy of a network with a seed; None if it is unknown."""
        return self._known.get((arch.id, seed))

    def add(self, arch: Architecture, seed: int, accuracy: float, seconds: float) -> AccuracyRecord:
        """Write an accuracy to the file.

        Raises:
            StorageError: the disk refused; lines already there are kept.
        """
        evaluated = AccuracyRecord(arch.id, seed, self._conditions, accuracy, seconds)
        self._journal.append(evaluated)
        self._known[arch.id, seed] = evaluated
        return evaluated


RUNGS = 4
"""Number of evaluations, evenly spread over the steps; no training is stopped at the third."""
STOPPING_RUNGS = (1, 2)
"""After a quarter and after a half of the steps."""
MIN_RIVALS = 4
"""Rivals that must be known at a rung before a network is stopped there."""
SHORTENING_FACTOR = 4
"""Ratio of the default training length to that of this score."""


class TrainedAccuracy:
    """The quality estimator `train`, or `train:FILE`, which starts from the weights of a supernet.

    Args:
        path: supernet to inherit weights from; None starts from random weights.
        context: the images, and the seed of the trainings.
        recipe: None means the default one, shortened.

    Raises:
        DataError: there are no images.
        CheckpointError: the file holds no supernet, or one of another space or other classes.
    """

    def __init__(
        self, path: Path | None, context: QualityContext, recipe: Recipe | None = None
    ) -> None:
        if context.dataset is None:
            raise DataError("training needs images: give --data DIR, or --data digits")
        self.dataset = context.dataset
        self.recipe = recipe or short_recipe(context.dataset, inherited=path is not None)
        self._seed = context.seed
        self._inherited = None if path is None else _Inherited(path, context)
        self.rungs = Rungs()
        self.info: EstimatorInfo = _info(self.recipe, self.dataset, self._inherited)

    def score(self, arch: Architecture) -> float:
        """Train a network and return its accuracy on the held-out images, per cent.

        Raises:
            InputError: the network is not inside the supernet.
            TrainingError: the loss is not finite, or memory does not suffice.
        """
        initial = None if self._inherited is None else self._inherited.weights(arch)
        macs = count(arch).macs
        result = train_network(
            arch, self.dataset, self.recipe, None, initial=initial, seed=self._seed,
            stop_when=lambda point: self.rungs.should_stop(point, macs),
        )  # fmt: skip
        return 100 * result.accuracy


class Rungs:
    """Accuracies at each rung, with the sizes of their networks."""

    def __init__(self) -> None:
        self._seen: dict[int, list[tuple[int, float]]] = {rung: [] for rung in STOPPING_RUNGS}

    def should_stop(self, point: TrainingPoint, macs: int) -> bool:
        """Record an accuracy; return whether its training should stop.

        Args:
            macs: multiply-adds of the network.
        """
        rung = round(RUNGS * point.step / point.steps)
        if point.accuracy is None or rung not in self._seen:
            return False
        rivals = [accuracy for size, accuracy in self._seen[rung] if size <= macs]
        self._seen[rung].append((macs, point.accuracy))
        return len(rivals) >= MIN_RIVALS and point.accuracy < median(rivals)


def short_recipe(dataset: Dataset, *, inherited: bool = False) -> Recipe:
    """Make the default recipe with a quarter of its steps and an evaluation at every rung."""
    whole = default_recipe(dataset, inherited=inherited)
    steps = max(RUNGS, round(whole.steps / SHORTENING_FACTOR))
    return default_recipe(dataset, steps=steps, inherited=inherited).replace(evaluations=RUNGS)


class _Inherited:
    """Weights of networks, sliced from a supernet."""

    def __init__(self, path: Path, context: QualityContext) -> None:
        from gnv2_nas.quality.accuracy.supernet import SupernetAccuracy

        self._accuracy = SupernetAccuracy(path, context)
        self.name = path.name
        self.info = self._accuracy.info

    def weights(self, arch: Architecture) -> dict[str, Tensor]:
        """State dict of `arch`, with recalibrated batch-norm statistics."""
        return self._accuracy.extract(arch).state_dict()


def _info(recipe: Recipe, dataset: Dataset, inherited: _Inherited | None) -> EstimatorInfo:
    epochs = recipe.steps * recipe.batch_size / len(dataset.train)
    start = f"from the weights of {inherited.name}" if inherited else "from scratch"
    note = (
        f"on {len(dataset.val)} held-out images of {dataset.name}, after {epochs:.3g} epochs "
        f"{start}; one below the median of networks no larger is stopped, with a lower score"
    )
    return msgspec.structs.replace(
        ESTIMATORS["train"],
        note=note,
        supernet_spec=inherited.info.supernet_spec if inherited else None,
    )

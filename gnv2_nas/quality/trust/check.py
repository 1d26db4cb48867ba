"""The trust check: trains a handful of networks and compares every score with their accuracy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.quality.accuracy.trained import AccuracyJournal, AccuracyRecord
from gnv2_nas.quality.base import QualityContext, QualityEstimator, QualitySpec
from gnv2_nas.quality.registry import get_estimator
from gnv2_nas.quality.trust.networks import NetworkSample, SampledNetwork
from gnv2_nas.quality.trust.panel import (
    BASELINE,
    EstimatorTrust,
    TrustNetwork,
    TrustPanel,
    add_gains,
)
from gnv2_nas.quality.trust.panel_file import accuracies_path, trust_path
from gnv2_nas.space import SearchSpace
from gnv2_nas.stats.rank_agreement import RankAgreement, rank_agreement
from gnv2_nas.training import Recipe, TrainingPoint

if TYPE_CHECKING:
    from gnv2_nas.data import Dataset


@dataclass(frozen=True)
class TrustPlan:
    """Networks, images and recipe of a trust check."""

    space: SearchSpace
    """The space, with the classes of the data."""
    dataset: Dataset
    drawn: NetworkSample
    recipe: Recipe
    seeds: int

    def journal(self) -> AccuracyJournal:
        """Open the file of accuracies under the conditions of this plan."""
        recipe = msgspec.json.encode((self.recipe, self.dataset.augmentation)).decode()
        path = accuracies_path(trust_path(self.space.name))
        return AccuracyJournal(path, self.dataset.content_hash, recipe)

    def count_finished(self) -> int:
        """Count the trainings that earlier runs have finished."""
        journal, networks = self.journal(), self.drawn.networks
        return sum(
            journal.find(networks[index].trained, seed) is not None
            for index, seed in self.list_trainings()
        )

    def list_trainings(self) -> list[tuple[int, int]]:
        """Return network index and seed of each training. All networks get the first seed first."""
        indices = range(len(self.drawn.networks))
        return [(index, seed) for seed in range(self.seeds) for index in indices]

    def context(self) -> QualityContext:
        return QualityContext(space=self.space, dataset=self.dataset)

    def describe_training(self) -> str:
        """Describe the recipe."""
        recipe, images = self.recipe, len(self.dataset.train)
        epochs = recipe.steps * recipe.batch_size / images
        length = f"{recipe.steps} steps of {recipe.batch_size} images, {epochs:.3g} epochs"
        return length + self._describe_resolution()

    def _describe_resolution(self) -> str:
        """Name the resolution of the trainings if it is lower than that of the space."""
        reduced = {
            each.architecture.resolution: each.trained.resolution
            for each in self.drawn.networks
            if each.trained.resolution != each.architecture.resolution
        }
        if not reduced:
            return ""
        largest = max(reduced)
        others = ", smaller ones likewise" if len(reduced) > 1 else ""
        return f", {reduced[largest]} pixels instead of {largest}{others}"


Trainings = Sequence[Sequence[AccuracyRecord]]
"""The trainings of a check: for each network, its accuracy with each seed."""


def make_panel(
    plan: TrustPlan,
    trainings: Trainings,
    estimators: Mapping[str, QualityEstimator],
) -> TrustPanel:
    """Score the trained networks and make the panel."""
    networks = tuple(
        TrustNetwork(
            architecture=drawn.architecture,
            macs=drawn.counts.macs,
            params=drawn.counts.params,
            in_band=drawn.in_band,
            accuracies=tuple(training.accuracy for training in of_network),
        )
        for drawn, of_network in zip(plan.drawn.networks, trainings, strict=True)
    )
    panel = TrustPanel(
        space=plan.space.name,
        space_hash=plan.space.content_hash,
        num_classes=plan.space.num_classes,
        data=plan.dataset.name,
        data_hash=plan.dataset.content_hash,
        band=plan.drawn.band,
        networks=networks,
        estimators=tuple(
            _compare_estimator(spec, estimator, plan.drawn.networks, networks)
            for spec, estimator in estimators.items()
        ),
        ceiling=_between_seeds(networks),
        ceiling_band=_between_seeds([network for network in networks if network.in_band]),
        training=plan.describe_training(),
        seconds=sum(training.seconds for each in trainings for training in each),
    )
    return add_gains(panel)


def _compare_estimator(
    spec: str,
    estimator: QualityEstimator,
    drawn: Sequence[SampledNetwork],
    networks: Sequence[TrustNetwork],
) -> EstimatorTrust:
    # A search scores networks at their own resolution. Images have that of the trainings.
    scored = [each.trained if estimator.info.needs_data else each.architecture for each in drawn]
    scores, seconds = _scores(estimator, scored)
    known = [
        (score, network)
        for score, network in zip(scores, networks, strict=True)
        if score is not None
    ]
    return EstimatorTrust(
        spec=spec,
        title=estimator.info.title,
        file_hash=QualitySpec.parse(spec).hash_file(),
        is_accuracy=estimator.info.is_accuracy,
        needs_data=estimator.info.needs_data,
        scores=tuple(scores),
        seconds=seconds,
        overall=_agreement(known),
        band=_agreement([each for each in known if each[1].in_band]),
    )


def _agreement(known: Sequence[tuple[float, TrustNetwork]]) -> RankAgreement | None:
    return rank_agreement([score for score, _ in known], [each.accuracy for _, each in known])


def _scores(
    estimator: QualityEstimator, architectures: Sequence[Architecture]
) -> tuple[list[float | None], float]:
    """Compute all scores, and the mean duration of one in seconds."""
    start = time.perf_counter()
    scores = [
        estimator.score(arch) if estimator.info.compares(arch) else None for arch in architectures
    ]
    return scores, (time.perf_counter() - start) / len(architectures)


def _between_seeds(networks: Sequence[TrustNetwork]) -> RankAgreement | None:
    """Compute τ between the first and the second training of each network."""
    if any(len(network.accuracies) < 2 for network in networks):
        return None
    first, second = ([network.accuracies[seed] for network in networks] for seed in (0, 1))
    return rank_agreement(first, second)


class TrustProgress(msgspec.Struct, frozen=True):
    """Progress of the trainings of a check."""

    done: int
    """Finished trainings, those of earlier runs included."""
    total: int
    network: int
    """Number of the current network, from 1."""
    seed: int
    point: TrainingPoint
    seconds_left: float | None
    """Estimated time left; None before the first steps are timed."""


Observer = Callable[[TrustProgress], None]


def run_trust_check(
    plan: TrustPlan, specs: Sequence[str], train: Callable[[TrustPlan], Trainings]
) -> TrustPanel:
    """Train the networks that are not trained yet, score them and compare.

    Args:
        specs: estimators to check, as `--quality` names them; the parameter count is added.
        train: gives the accuracies of a plan.

    Raises:
        InputError: an estimator does not fit the data or the space; nothing was trained.
        TrainingError: a training failed; finished trainings are kept.
    """
    named = dict.fromkeys([BASELINE, *specs])
    estimators = {spec: get_estimator(spec, plan.context()) for spec in named}
    return make_panel(plan, train(plan), estimators)


class TrustTiming:
    """Estimates the time left: a training has a fixed cost and one proportional to MACs."""

    def __init__(self, plan: TrustPlan) -> None:
        self._networks, self._seeds = plan.drawn.networks, plan.seeds
        self._mean = sum(each.counts.macs for each in self._networks) / len(self._networks)
        self._total = self._seeds * sum(map(self._work, self._networks))
        self._done, self._work_done, self._seconds = 0, 0.0, 0.0

    def count_training(self, network: SampledNetwork, seconds: float) -> None:
        self._done += 1
        self._work_done += self._work(network)
        self._seconds += seconds

    def progress(self, index: int, seed: int, point: TrainingPoint) -> TrustProgress:
        network = self._networks[index]
        share = point.step / point.steps
        work = self._work_done + share * self._work(network)
        spent = self._seconds + point.seconds
        left = None if point.seconds_left is None else spent * (self._total / work - 1)
        return TrustProgress(
            done=self._done,
            total=self._seeds * len(self._networks),
            network=index + 1,
            seed=seed,
            point=point,
            seconds_left=left,
        )

    def _work(self, network: SampledNetwork) -> float:
        return 1 + network.counts.macs / self._mean

"""The trust check: train a handful of networks, and see which score would have ordered them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from gnv2_nas.quality.accuracy_journal import Evaluated
from gnv2_nas.quality.estimator import get_estimator
from gnv2_nas.quality.trust import BASELINE, TrustPanel
from gnv2_nas.quality.trust_networks import DrawnNetwork
from gnv2_nas.quality.trust_panel import make_panel
from gnv2_nas.quality.trust_plan import TrustPlan
from gnv2_nas.training import TrainingPoint, train_network


class TrustProgress(msgspec.Struct, frozen=True):
    """How far the trainings of a check are."""

    done: int
    """Trainings that are finished, those of earlier runs included."""
    total: int
    network: int
    """Number of the network that is being trained, from 1."""
    seed: int
    point: TrainingPoint
    seconds_left: float | None
    """Of all trainings; None until the first steps are timed."""


Observer = Callable[[TrustProgress], None]


def run_trust_check(plan: TrustPlan, specs: Sequence[str], observer: Observer) -> TrustPanel:
    """Train what is not trained yet, score, compare.

    Args:
        specs: the estimators to check, as `--quality` takes them; the parameter count is added.

    Raises:
        InputError: an estimator does not fit the data or the space; before anything is trained.
        TrainingError: a training failed; those that were finished are kept.
    """
    named = dict.fromkeys([BASELINE, *specs])
    estimators = {spec: get_estimator(spec, plan.context()) for spec in named}
    trainings = _train_all(plan, observer)
    return make_panel(plan, trainings, estimators)


def _train_all(plan: TrustPlan, observer: Observer) -> list[list[Evaluated]]:
    """Of each network, one training a seed; all networks get the first seed before the second."""
    journal, timing = plan.journal(), _Timing(plan)
    networks = plan.drawn.networks
    found: list[list[Evaluated]] = [[] for _ in networks]
    for seed in range(plan.seeds):
        for number, network in enumerate(networks):
            known = journal.find(network.architecture, seed)
            if known is None:

                def observe(point: TrainingPoint, number: int = number, seed: int = seed) -> None:
                    observer(timing.progress(number, seed, point))

                result = train_network(
                    network.architecture, plan.dataset, plan.recipe, None, seed=seed,
                    observer=observe,
                )  # fmt: skip
                known = journal.add(
                    network.architecture, seed, 100 * result.accuracy, result.seconds
                )
            timing.finished(network, known.seconds)
            found[number].append(known)
    return found


class _Timing:
    """Time left: a training takes a fixed part, and one in proportion to the multiply-adds."""

    def __init__(self, plan: TrustPlan) -> None:
        self._networks, self._seeds = plan.drawn.networks, plan.seeds
        self._mean = sum(each.counts.macs for each in self._networks) / len(self._networks)
        self._total = self._seeds * sum(map(self._work, self._networks))
        self._done, self._work_done, self._seconds = 0, 0.0, 0.0

    def finished(self, network: DrawnNetwork, seconds: float) -> None:
        self._done += 1
        self._work_done += self._work(network)
        self._seconds += seconds

    def progress(self, number: int, seed: int, point: TrainingPoint) -> TrustProgress:
        network = self._networks[number]
        share = point.step / point.steps
        work = self._work_done + share * self._work(network)
        spent = self._seconds + point.seconds
        left = None if point.seconds_left is None else spent * (self._total / work - 1)
        return TrustProgress(
            done=self._done,
            total=self._seeds * len(self._networks),
            network=number + 1,
            seed=seed,
            point=point,
            seconds_left=left,
        )

    def _work(self, network: DrawnNetwork) -> float:
        return 1 + network.counts.macs / self._mean

"""From trained networks to a trust panel: every score against the accuracies."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from gnv2_nas.arch import Architecture
from gnv2_nas.files.writing import content_hash
from gnv2_nas.quality.accuracy_journal import Evaluated
from gnv2_nas.quality.base import QualityEstimator
from gnv2_nas.quality.trust import EstimatorTrust, TrustNetwork, TrustPanel, with_gains
from gnv2_nas.quality.trust_plan import TrustPlan
from gnv2_nas.stats.rank_agreement import RankAgreement, rank_agreement


def make_panel(
    plan: TrustPlan,
    trainings: Sequence[Sequence[Evaluated]],
    estimators: Mapping[str, QualityEstimator],
) -> TrustPanel:
    """The panel of networks that were trained; scores them."""
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
            _trust(spec, estimator, networks) for spec, estimator in estimators.items()
        ),
        ceiling=_between_seeds(networks),
        ceiling_band=_between_seeds([network for network in networks if network.in_band]),
        training=plan.describe_training(),
        seconds=sum(training.seconds for each in trainings for training in each),
    )
    return with_gains(panel)


def _trust(
    spec: str, estimator: QualityEstimator, networks: Sequence[TrustNetwork]
) -> EstimatorTrust:
    file = spec.partition(":")[2]
    scores, seconds = _scores(estimator, [network.architecture for network in networks])
    known = [
        (score, network)
        for score, network in zip(scores, networks, strict=True)
        if score is not None
    ]
    return EstimatorTrust(
        spec=spec,
        title=estimator.info.title,
        file_hash=content_hash(Path(file)) if file else "",
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
    """The scores, and the seconds that one took."""
    start = time.perf_counter()
    scores = [
        estimator.score(arch) if estimator.info.compares(arch) else None for arch in architectures
    ]
    return scores, (time.perf_counter() - start) / len(architectures)


def _between_seeds(networks: Sequence[TrustNetwork]) -> RankAgreement | None:
    """τ between the first training of each network and the second."""
    if any(len(network.accuracies) < 2 for network in networks):
        return None
    first, second = ([network.accuracies[seed] for network in networks] for seed in (0, 1))
    return rank_agreement(first, second)

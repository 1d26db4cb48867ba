"""Trust panels of networks whose accuracies are given, not trained."""

from __future__ import annotations

from gnv2_nas.quality import get_estimator
from gnv2_nas.quality.accuracy.trained import AccuracyRecord
from gnv2_nas.quality.trust.check import TrustPlan, make_panel
from gnv2_nas.quality.trust.panel import TrustPanel
from gnv2_nas.training import Recipe

RECIPE = Recipe(steps=10, batch_size=32, learning_rate=0.1)
NETWORKS = 40


def panel_of(plan: TrustPlan, accuracy) -> TrustPanel:
    """The panel of networks whose training gave `accuracy(network, seed)`."""
    trainings = [
        [
            AccuracyRecord(each.architecture.id, seed, "", accuracy(each, seed), seconds=10.0)
            for seed in range(plan.seeds)
        ]
        for each in plan.drawn.networks
    ]
    return make_panel(plan, trainings, {name: get_estimator(name) for name in ("params", "macs")})

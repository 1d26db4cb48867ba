"""The stock networks that keep the budgets of a study: what a user would take without a search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.search.analysis.baselines import preset_name
from gnv2_nas.search.study.budgets import Budget
from gnv2_nas.search.study.metrics import get_metric, loss
from gnv2_nas.search.study.records import StudyRecord, Trial
from gnv2_nas.search.study.settings import Settings


def find_rivals(record: StudyRecord) -> list[Trial]:
    """The best stock network of each family within the budgets, the best first.

    Scaled networks count as well. Without budgets, each family has its best published network. A
    network whose score does not compare with the others has no quality; such networks come last,
    and of a family the one with the most multiply-adds.
    """
    rivals: dict[str, Trial] = {}
    for each in _rank(record.trials, record.settings):
        rivals.setdefault(each.architecture.family, each)
    return list(rivals.values())


def find_stock(trials: Iterable[Trial], settings: Settings) -> Trial | None:
    """The stock network that a search is compared with; None if there is none.

    It is the best of those that keep every budget, or without budgets GhostNetV2 1.0. All its
    objectives are known.
    """
    for each in _rank(trials, settings):
        known = all(math.isfinite(each.value(name)) for name in settings.objectives)
        if known and (settings.budgets or preset_name(each.baseline) == REFERENCE):
            return each
    return None


def _rank(trials: Iterable[Trial], settings: Settings) -> list[Trial]:
    """Stock networks within the budgets, the best first."""
    fitting = (each for each in trials if each.baseline and _may_keep(each, settings.budgets))
    return sorted(fitting, key=lambda each: _rank_key(each, settings.objectives))


def _rank_key(trial: Trial, objectives: Sequence[str]) -> list[float]:
    """By quality, then by the other objectives; among unknown values the largest network."""
    names = sorted(objectives, key=lambda name: name != "quality")
    losses = [loss(trial, name) for name in names]
    size = -trial.counts.macs if math.isnan(losses[0]) else 0.0
    return [math.inf if math.isnan(value) else value for value in (losses[0], size, *losses[1:])]


def _may_keep(trial: Trial, budgets: Sequence[Budget]) -> bool:
    """Whether a network keeps every budget, as far as is known.

    A stable latency counts as kept when its 95 % interval reaches down to the limit: the comparison
    must not become easier because a stock network was measured a little above it.
    """
    return all(
        budget.metric not in trial.excesses or _lowest(trial, budget) <= budget.limit
        for budget in budgets
    )


def _lowest(trial: Trial, budget: Budget) -> float:
    metric = get_metric(budget.metric)
    if not metric.is_latency:
        return metric.value(trial)
    latencies = trial.measured_on
    latency = latencies[metric.device] if metric.device else next(iter(latencies.values()))
    return latency.ci95[0] if latency.stable else latency.ms

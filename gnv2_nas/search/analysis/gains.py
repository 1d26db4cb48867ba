"""What networks gain over a stock network, and how certain that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from gnv2_nas.search.analysis.baselines import latency_ratio, latency_ratio_interval
from gnv2_nas.search.study.metrics import get_metric, loss
from gnv2_nas.search.study.records import Trial

GainVerdict = Literal["better", "unclear", "none"]


class Gain(msgspec.Struct, frozen=True):
    """The best network found in `objective` that is no worse than stock in the other objectives."""

    objective: str
    trial: Trial | None
    """None when every network found is worse than stock in another objective."""
    verdict: GainVerdict
    """unclear: better by the estimate, but within noise; none: nothing found is better."""


def find_better(
    members: Sequence[Trial], stock: Trial, objectives: Sequence[str], noise: float
) -> list[Trial]:
    """Found networks that are no worse than `stock` in any objective.

    Of these, those that are certainly better in as many objectives as any of them.
    """
    pool = [
        member
        for member in members
        if not member.baseline and is_no_worse(member, stock, objectives)
    ]
    certain = [
        sum(judge(member, stock, name, noise) == "better" for name in objectives) for member in pool
    ]
    return [each for each, count in zip(pool, certain, strict=True) if count == max(certain)]


def find_gains(
    members: Sequence[Trial], stock: Trial, objectives: Sequence[str], noise: float
) -> tuple[Gain, ...]:
    """`find_gain` in each objective, latency first and quality last."""
    names = sorted(
        objectives, key=lambda name: (not get_metric(name).is_latency, name == "quality")
    )
    return tuple(find_gain(members, stock, objectives, name, noise) for name in names)


def find_gain(
    members: Sequence[Trial],
    stock: Trial,
    objectives: Sequence[str],
    objective: str,
    noise: float,
) -> Gain:
    """The best member in `objective` that is no worse than `stock` in the other objectives.

    "No worse" compares estimates. A member that is certainly better takes precedence over one
    that may be.

    Args:
        members: the front. It suffices: a network that beats stock is on it or dominated there.
        noise: differences in quality up to this are not significant.
    """
    others = [name for name in objectives if name != objective]
    pool = [
        member for member in members if not member.baseline and is_no_worse(member, stock, others)
    ]
    if not pool:
        return Gain(objective, None, "none")
    certain = [each for each in pool if judge(each, stock, objective, noise) == "better"]
    best = min(certain or pool, key=lambda member: loss(member, objective))
    return Gain(objective, best, judge(best, stock, objective, noise))


def judge(member: Trial, stock: Trial, objective: str, noise: float) -> GainVerdict:
    """Whether a network is better than `stock` in an objective."""
    metric = get_metric(objective)
    if metric.is_latency:
        low, high = latency_ratio_interval(member, stock, metric.device)
        if low <= 1 <= high:
            return "unclear"
        return "better" if high < 1 else "none"
    gain = loss(stock, objective) - loss(member, objective)
    if gain > (noise if objective == "quality" else 0.0):
        return "better"
    return "unclear" if gain > 0 else "none"


def is_no_worse(member: Trial, stock: Trial, objectives: Sequence[str]) -> bool:
    """Whether a network is at least as good as `stock` in each objective, by the estimates."""
    return all(_no_worse(member, stock, name) for name in objectives)


def _no_worse(member: Trial, stock: Trial, objective: str) -> bool:
    metric = get_metric(objective)
    if metric.is_latency:
        return latency_ratio(member, stock, metric.device) <= 1
    return loss(member, objective) <= loss(stock, objective)

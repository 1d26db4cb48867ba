"""The knee of a front, and the front against stock GhostNetV2 1.0, one objective at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from gnv2_nas.arch import preset
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.measurement.comparison import compare as compare_measurements
from gnv2_nas.measurement.record import Errors
from gnv2_nas.search.analysis.baselines import published_name, side_by_side
from gnv2_nas.search.study.metrics import Term
from gnv2_nas.search.study.objectives import loss
from gnv2_nas.search.study.records import Candidate, ObjectiveName, StudyRecord


def knee(members: Sequence[Candidate], objectives: Sequence[ObjectiveName]) -> Candidate | None:
    """The member farthest from the chord between the extremes of the front.

    Das, "On characterizing the 'knee' of the Pareto curve based on Normal-Boundary
    Intersection", 1999. With losses scaled to [0, 1] over the front, the distance to the chord
    (for more objectives: the plane) falls with the sum of the losses: the smallest sum is the
    knee, also where there are one, two or more than two objectives. Members with a trusted
    latency go first; None when there are no members.
    """
    if not members:
        return None
    losses = np.array([[loss(member, name) for name in objectives] for member in members])
    span = np.ptp(losses, axis=0)
    scaled = (losses - losses.min(axis=0)) / np.where(span > 0, span, 1.0)
    trusted = [member.latency is None or member.latency.stable for member in members]
    sums = scaled.sum(axis=1)
    return members[int(np.where(trusted, sums, np.inf if any(trusted) else sums).argmin())]


Interval = tuple[float, float]
Verdict = Literal["better", "unclear", "none"]


class Comparison(msgspec.Struct, frozen=True):
    """The best that was found in `objective` among networks no worse than stock in the others."""

    objective: ObjectiveName
    candidate: Candidate | None
    """None when every network found is worse than stock in another objective."""
    verdict: Verdict
    """unclear: an interval leaves it open; none: nothing found is better."""


def stock_candidate(record: StudyRecord) -> Candidate | None:
    """Stock GhostNetV2 1.0 of the study, if all objectives of it are known."""
    for candidate in record.candidates:
        values = [candidate.value(name) for name in record.settings.objectives]
        if published_name(candidate.baseline) == REFERENCE and all(map(math.isfinite, values)):
            return candidate
    return None


def compare(
    members: Sequence[Candidate],
    stock: Candidate,
    objectives: Sequence[ObjectiveName],
    objective: Term,
) -> Comparison:
    """The best member the search found in `objective`, no worse than `stock` in the others.

    "No worse" is by the estimates. `members` is the front: a network that beats stock is on it,
    or beaten there. One that is certain to be better goes before one that may be.
    """
    others = [name for name in objectives if name != objective.name]
    pool = [
        member
        for member in members
        if not member.baseline and all(_no_worse(member, stock, name) for name in others)
    ]
    if not pool:
        return Comparison(objective.name, None, "none")
    certain = [member for member in pool if _verdict(member, stock, objective) == "better"]
    best = min(certain or pool, key=lambda member: loss(member, objective.name))
    return Comparison(objective.name, best, _verdict(best, stock, objective))


def _verdict(member: Candidate, stock: Candidate, objective: Term) -> Verdict:
    if objective.name == "latency":
        low, high = latency_ratio_interval(member, stock)
        if low <= 1 <= high:
            return "unclear"
        return "better" if high < 1 else "none"
    gain = loss(stock, objective.name) - loss(member, objective.name)
    if gain > objective.noise:
        return "better"
    return "unclear" if gain > 0 else "none"


def _no_worse(member: Candidate, stock: Candidate, objective: ObjectiveName) -> bool:
    if objective == "latency":
        return latency_ratio(member, stock) <= 1
    return loss(member, objective) <= loss(stock, objective)


def latency_ratio(candidate: Candidate, stock: Candidate) -> float:
    """Latency over that of `stock`; NaN when either was not measured.

    Taken in the same rounds, one is divided by the other. Else measured ratios refer to the
    published network by the panel; a `stock` that differs from it, for instance in resolution, is
    divided out.
    """
    if candidate.latency is None or stock.latency is None:
        return math.nan
    if _is_reference(stock) and not _together(candidate, stock):
        return candidate.latency.ratio
    return candidate.latency.ratio / stock.latency.ratio


def latency_ratio_interval(candidate: Candidate, stock: Candidate) -> Interval:
    """95% interval of `latency_ratio`.

    In the same rounds what both share, panel and calibration, is no error. Else intervals combine
    as independent errors of a logarithm.
    """
    if candidate.latency is None or stock.latency is None:
        return math.nan, math.nan
    mine, theirs = candidate.latency, stock.latency
    if _together(candidate, stock):
        return compare_measurements(mine, theirs).ci95
    low, high = mine.ratio_ci95
    down, up = [math.log(mine.ratio / low)], [math.log(high / mine.ratio)]
    if not _is_reference(stock):
        stock_low, stock_high = theirs.ratio_ci95
        down.append(math.log(stock_high / theirs.ratio))
        up.append(math.log(theirs.ratio / stock_low))
    ratio = latency_ratio(candidate, stock)
    return ratio * math.exp(-math.hypot(*down)), ratio * math.exp(math.hypot(*up))


def _together(candidate: Candidate, stock: Candidate) -> bool:
    """Whether both were measured in the same rounds, by a version that kept the parts of errors."""
    measured = [each.latency for each in (candidate, stock) if each.latency is not None]
    return side_by_side(candidate, stock) and all(each.errors != Errors() for each in measured)


def _is_reference(stock: Candidate) -> bool:
    return stock.architecture.id == preset(REFERENCE).id

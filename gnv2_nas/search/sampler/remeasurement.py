"""Selects networks to measure again: those whose place their interval leaves open.

A second measurement near the front or a budget is worth more than a new network far from both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gnv2_nas.search.analysis.pareto import dominates, pareto_front
from gnv2_nas.search.study.metrics import loss
from gnv2_nas.search.study.records import Trial
from gnv2_nas.search.study.settings import Settings
from gnv2_nas.stats.ridge import Matrix

MAX_PER_BATCH = 2
"""Networks measured again in each batch, at most."""
MAX_SESSIONS = 4
"""A network with this many sessions is not measured again before the end."""


def select_for_remeasurement(
    candidates: Sequence[Trial],
    front: Sequence[Trial],
    settings: Settings,
    limit: int = MAX_PER_BATCH,
) -> list[Trial]:
    """Select the trials whose latency interval leaves a decision open, widest interval first.

    The decision is whether the network keeps a latency budget, or whether it is on the front, in
    any view of the study.

    Args:
        front: the joint front of all views.
    """
    measured = [
        each
        for each in candidates
        if each.latency is not None and each.latency.sessions < MAX_SESSIONS
    ]
    if not measured:
        return []
    intervals = np.array([each.latency.own_ci95() for each in measured if each.latency])
    is_open = np.zeros(len(measured), dtype=np.bool_)
    for budget in settings.limits_of("latency"):
        is_open |= (intervals[:, 0] <= budget.limit) & (budget.limit < intervals[:, 1])
    for view in settings.views if "latency" in settings.objectives else ():
        if members := pareto_front([each.seen(view) for each in front], view.objectives):
            shown = [each.seen(view) for each in measured]
            is_open |= _is_undecided(shown, intervals, members, view.objectives)
    widths = np.log(intervals[:, 1] / intervals[:, 0])
    widest = np.argsort(-widths, kind="stable")
    return [measured[number] for number in widest if is_open[number]][:limit]


def _is_undecided(
    candidates: Sequence[Trial],
    intervals: Matrix,
    front: Sequence[Trial],
    objectives: Sequence[str],
) -> NDArray[np.bool_]:
    """(n,) whether a feasible trial is dominated only at the upper end of its interval."""
    column = list(objectives).index("latency")
    own = np.array([[loss(each, name) for name in objectives] for each in candidates])
    rivals = np.array([[loss(each, name) for name in objectives] for each in front])
    numbers = np.array([each.number for each in front])
    others = np.array([each.number for each in candidates])[:, None] != numbers
    at_best, at_worst = own.copy(), own.copy()
    at_best[:, column], at_worst[:, column] = intervals.T
    feasible = np.array([each.feasible for each in candidates])
    dominated_at_best = np.any(dominates(rivals, at_best) & others, axis=1)
    dominated_at_worst = np.any(dominates(rivals, at_worst) & others, axis=1)
    undecided: NDArray[np.bool_] = feasible & ~dominated_at_best & dominated_at_worst
    return undecided

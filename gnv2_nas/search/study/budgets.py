"""Budgets: reading them, checking networks, and refusing the impossible before any work.

All of it is arithmetic on the graph, but for latency budgets, which need a measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import BudgetError, InfeasibleBudgetError
from gnv2_nas.graph import Counts, count
from gnv2_nas.measurement.record import Measurement
from gnv2_nas.search.study.records import Budget
from gnv2_nas.space import SearchSpace
from gnv2_nas.units import METRICS, format_at_least, parse_quantity

Params = dict[str, str | int | float]


def parse_budget(text: str) -> Budget:
    """A budget such as "300MFLOPs", "12ms", "6Mparams" or "20MB".

    Raises:
        BudgetError: no number, no or an unknown unit, or not a positive finite amount.
    """
    metric, limit = parse_quantity(text)
    return Budget(metric, limit, "".join(text.split()))


def parse_budgets(texts: Iterable[str]) -> tuple[Budget, ...]:
    """Several budgets, at most one for each metric, in one order however they were given.

    Raises:
        BudgetError: one cannot be read, or two limit the same metric.
    """
    budgets = tuple(parse_budget(text) for text in texts)
    by_metric: dict[str, Budget] = {}
    for budget in budgets:
        other = by_metric.setdefault(budget.metric, budget)
        if other is not budget:
            raise BudgetError(
                f"budgets {other.text!r} and {budget.text!r} limit the same thing; give one"
            )
    return tuple(sorted(budgets, key=lambda budget: METRICS.index(budget.metric)))


def amount(budget: Budget, counts: Counts, latency: Measurement | None = None) -> float | None:
    """What a network uses of a budget, in the budget's unit; None when it was not measured."""
    if budget.metric == "latency":
        return None if latency is None else latency.ms
    return float(
        counts.memory_bytes if budget.metric == "memory" else getattr(counts, budget.metric)
    )


def excesses(
    budgets: Sequence[Budget], counts: Counts, latency: Measurement | None = None
) -> dict[str, float]:
    """Budget text → relative excess of every budget that can be checked; ≤ 0 is kept."""
    checked = ((budget, amount(budget, counts, latency)) for budget in budgets)
    return {budget.text: used / budget.limit - 1 for budget, used in checked if used is not None}


def violations(excess: Mapping[str, float]) -> dict[str, float]:
    """The budgets that are broken, with their relative excess."""
    return {text: value for text, value in excess.items() if value > 0}


def corner_networks(space: SearchSpace) -> dict[str, Architecture]:
    """The smallest, centre and largest network of a space."""
    return {
        "smallest": space.decode(space.smallest()),
        "centre": space.decode(space.centre()),
        "largest": space.decode(space.largest()),
    }


def find_feasible(space: SearchSpace, budgets: Sequence[Budget]) -> Params:
    """A genotype that keeps every budget that arithmetic can check, near the smallest network.

    Starts at the smallest network and changes one gene at a time while that lowers the excess.

    Raises:
        InfeasibleBudgetError: none was found; the message names the nearest network's amounts.
    """
    params = dict(space.smallest())
    excess = _total_excess(space, params, budgets)
    improved = True
    while excess > 0 and improved:
        improved = False
        for gene in space.genes:
            for choice in gene.choices:
                candidate = params | {gene.name: choice}
                lower = _total_excess(space, candidate, budgets)
                if lower < excess:
                    params, excess, improved = candidate, lower, True
    if excess > 0:
        raise InfeasibleBudgetError(_nearest(space, params, budgets))
    return params


def _total_excess(space: SearchSpace, params: Params, budgets: Sequence[Budget]) -> float:
    return sum(violations(excesses(budgets, count(space.decode(params)))).values())


def _nearest(space: SearchSpace, params: Params, budgets: Sequence[Budget]) -> str:
    counts = count(space.decode(params))
    broken = violations(excesses(budgets, counts))
    amounts = ((budget, amount(budget, counts)) for budget in budgets if budget.text in broken)
    nearest = ", ".join(
        format_at_least(budget.metric, used) for budget, used in amounts if used is not None
    )
    return (
        f"no network of space {space.name!r} can meet {' and '.join(broken)}; "
        f"nearest is {nearest}: raise the budget or choose a smaller space"
    )

"""Budgets: reading them, checking networks, and refusing the impossible before any work.

The budgets on what arithmetic knows are checked on the graph alone; the others need an evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.errors import BudgetError, InfeasibleBudgetError
from gnv2_nas.graph import Counts, count
from gnv2_nas.search.study.metric_names import find_device, order_of
from gnv2_nas.search.study.metrics import METRICS, Counted, Known, get_metric
from gnv2_nas.space import SearchSpace
from gnv2_nas.units import (
    DIMENSIONS,
    Dimension,
    format_at_least,
    parse_quantity,
    shortest_quantity,
)

Params = dict[str, str | int | float]

MAX_LIMITS = 8
"""Limits in one list: each gets a share of every batch of a search."""


class Budget(msgspec.Struct, frozen=True):
    """A limit that a network on the front keeps. Its metric is the key of the constraint."""

    metric: str
    limit: float
    """In base units: multiply-adds, parameters, milliseconds or bytes."""
    text: str
    """As the user wrote it, for instance "300MFLOPs"; for display only."""

    @property
    def label(self) -> str:
        """The same text for the same limit, however it was written; fit for the name of a study."""
        metric = get_metric(self.metric)
        dimension = metric.dimension or "bytes"
        amount = shortest_quantity(dimension, self.limit)
        if _metrics_of(dimension)[0] != metric.base:
            amount = f"{amount}-{metric.base}"
        return f"{amount}@{metric.device}" if metric.device else amount

    def on(self, device: str) -> Budget:
        """The same limit on the metric of a device: "12ms" is "12ms@pi5"."""
        return Budget(f"{self.metric}@{device}", self.limit, f"{self.text}@{device}")

    def alone(self) -> Budget:
        """The same limit where there is one device only: "12ms@pi5" is "12ms"."""
        metric, _, _ = self.metric.partition("@")
        return Budget(metric, self.limit, self.text.partition("@")[0])


def parse_budget(text: str) -> Budget:
    """A budget such as "300MFLOPs", "12ms", "12ms@pi5", "6Mparams", "20MB" or "20MB:artifact".

    Raises:
        BudgetError: no number, no or an unknown unit, not a positive finite amount, or a metric
            that has another unit.
    """
    amount, at, device = text.partition("@")
    if at:
        budget = parse_budget(amount)
        if not METRICS[budget.metric].differs or not device.strip():
            raise BudgetError(
                f"budget {text!r}: a device belongs to a limit that differs between devices, "
                f"such as 12ms@cpu; write {budget.text}"
            )
        return budget.on(device.strip())
    quantity, colon, name = text.partition(":")
    dimension, limit = parse_quantity(quantity)
    fitting = _metrics_of(dimension)
    metric = name.strip() if colon else fitting[0]
    if metric not in fitting:
        quantity = "".join(quantity.split())
        known = " or ".join(f"{quantity}:{name}" for name in fitting)
        raise BudgetError(f"budget {text!r}: no metric {metric!r} of this unit; write {known}")
    return Budget(metric, limit, "".join(text.split()))


def _metrics_of(dimension: Dimension) -> list[str]:
    """Names of the metrics in a dimension, the default first."""
    return [metric.name for metric in METRICS.values() if metric.dimension == dimension]


def parse_budgets(texts: Iterable[str], devices: Sequence[str] = ()) -> tuple[Budget, ...]:
    """Several budgets, at most one for each metric, in one order however they were given.

    Of a list such as "100MFLOPs,200MFLOPs", the loosest limit is the budget.

    Args:
        devices: labels of the study's devices, see `place_on_devices`.

    Raises:
        BudgetError: one cannot be read, or two limit the same metric.
        InputError: see `place_on_devices`.
    """
    given: dict[str, str] = {}
    budgets: list[Budget] = []
    for text in texts:
        placed = place_on_devices(_parse_list(text)[-1:], devices)
        for budget in placed:
            if budget.metric in given:
                raise BudgetError(_explain_clash(given[budget.metric], text))
            given[budget.metric] = text
        budgets += placed
    return sort_budgets(budgets)


def _explain_clash(one: str, other: str) -> str:
    """What to do about two texts with limits of the same metric."""
    limits = (*_parse_list(one), *_parse_list(other))
    texts = {limit.limit: limit.text for limit in sorted(limits, key=lambda each: each.limit)}
    clash = f"budgets {one!r} and {other!r} limit the same thing; give one"
    if len(texts) == 1 or len({limit.metric for limit in limits}) > 1:
        return clash
    return f"{clash}, or a list for a pick within each: {','.join(texts.values())}"


def parse_limits(texts: Iterable[str], devices: Sequence[str] = ()) -> tuple[Budget, ...]:
    """The limits of all lists of budgets, tightest first; none of budgets that stand alone.

    Args:
        devices: labels of the study's devices, see `place_on_devices`.

    Raises:
        BudgetError: a list cannot be read, names a limit twice, limits several metrics, or has
            more than `MAX_LIMITS` limits.
        InputError: see `place_on_devices`.
    """
    lists = [limits for text in texts if len(limits := _parse_list(text)) > 1]
    return sort_budgets(place_on_devices(chain.from_iterable(lists), devices))


def _parse_list(text: str) -> list[Budget]:
    """The budgets of one text, tightest first."""
    limits = list(map(parse_budget, text.split(",")))
    metrics = dict.fromkeys(limit.metric for limit in limits)
    if len(metrics) > 1:
        raise BudgetError(
            f"budget list {text!r} limits {' and '.join(metrics)}; a list has limits of one "
            "metric: give each metric its own --budget"
        )
    limits.sort(key=lambda each: each.limit)
    for one, other in pairwise(limits):
        if one.limit == other.limit:
            raise BudgetError(f"budget list {text!r} has {one.text!r} twice; name each limit once")
    if len(limits) > MAX_LIMITS:
        raise BudgetError(
            f"budget list {text!r} has {len(limits)} limits; at most {MAX_LIMITS} are possible"
        )
    return limits


def sort_budgets(budgets: Iterable[Budget]) -> tuple[Budget, ...]:
    """Budgets in the order of units and metrics, those of one metric tightest first."""
    return tuple(sorted(budgets, key=lambda each: (*_order(each), each.limit)))


def label_limits(limits: Sequence[Budget]) -> str:
    """The labels of budgets on one metric, tightest first: "100-200-300MFLOPs", "0.8-1.2GFLOPs"."""
    labels = [limit.label for limit in limits]
    units = pairwise(label.lstrip("0123456789.e+-") for label in labels)
    amounts = [
        label.removesuffix(unit) if unit == after else label
        for label, (unit, after) in zip(labels[:-1], units, strict=True)
    ]
    return "-".join([*amounts, labels[-1]])


def same_limits(ones: Sequence[Budget], others: Sequence[Budget]) -> bool:
    """Whether two sorted sequences have equal limits, however they were written."""
    return len(ones) == len(others) and all(
        one.metric == other.metric and math.isclose(one.limit, other.limit, rel_tol=1e-9)
        for one, other in zip(ones, others, strict=True)
    )


def place_on_devices(budgets: Iterable[Budget], devices: Sequence[str]) -> tuple[Budget, ...]:
    """Budgets as a study of these devices has them: a latency without a device holds on each.

    Raises:
        InputError: a budget is for a device that is not in the search.
    """
    placed: list[Budget] = []
    for budget in budgets:
        metric, plain = get_metric(budget.metric), budget.alone()
        named = [find_device(metric.device, devices, budget.text)] if metric.device else devices
        several = metric.differs and len(devices) > 1
        placed += [plain.on(device) for device in named] if several else [plain]
    return tuple(placed)


def _order(budget: Budget) -> tuple[int, tuple[int, str]]:
    dimension = get_metric(budget.metric).dimension
    place = DIMENSIONS.index(dimension) if dimension else len(DIMENSIONS)
    return place, order_of(budget.metric)


def excesses(budgets: Sequence[Budget], known: Known) -> dict[str, float]:
    """Metric → relative excess, of every budget whose metric is known; ≤ 0 is kept."""
    values = ((budget, get_metric(budget.metric).value(known)) for budget in budgets)
    return {
        budget.metric: value / budget.limit - 1 for budget, value in values if not math.isnan(value)
    }


def violations(excess: Mapping[str, float]) -> dict[str, float]:
    """The metrics whose budget is broken, with the relative excess."""
    return {metric: value for metric, value in excess.items() if value > 0}


def keeps_budgets(budgets: Sequence[Budget], counts: Counts) -> bool:
    """Whether a network keeps every budget that arithmetic can check."""
    return not violations(excesses(budgets, Counted(counts)))


def corner_networks(space: SearchSpace) -> dict[str, Architecture]:
    """The smallest, the centre and the largest network of a space."""
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
    counts = count(space.decode(params))
    return sum(violations(excesses(budgets, Counted(counts))).values())


def _nearest(space: SearchSpace, params: Params, budgets: Sequence[Budget]) -> str:
    known = Counted(count(space.decode(params)))
    broken = [budget for budget in budgets if excesses([budget], known).get(budget.metric, 0) > 0]
    nearest = []
    for budget in broken:
        metric = get_metric(budget.metric)
        if metric.dimension is not None:
            nearest.append(format_at_least(metric.dimension, metric.value(known)))
    return (
        f"no network of space {space.name!r} can meet "
        f"{' and '.join(budget.text for budget in broken)}; nearest is {', '.join(nearest)}: "
        "raise the budget or choose a smaller space"
    )

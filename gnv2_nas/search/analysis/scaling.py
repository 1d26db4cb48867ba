"""Stock networks scaled in width and resolution until they use the budgets of a study up."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import msgspec

from gnv2_nas.arch import Architecture
from gnv2_nas.arch.presets import FIRST_OF_FAMILIES, scale_preset
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.graph import Counts, count
from gnv2_nas.search.analysis.baselines import label_stock, list_stock_networks, preset_name
from gnv2_nas.search.study.budgets import Budget, keeps_budgets
from gnv2_nas.search.study.metrics import get_metric
from gnv2_nas.search.study.records import Trial
from gnv2_nas.search.study.settings import Settings
from gnv2_nas.space import SearchSpace

WIDTHS = range(10, 201)
"""Width multipliers in hundredths. The largest published one is 2."""
MAX_RESOLUTIONS = 2
"""Resolutions tried for a family, those that need the least change of width. The published widths
suit their resolution: a wide network at few pixels, or the opposite, is seldom better."""
MAX_TRIES = 3
"""Measured widths for each latency limit: from the latency of one follows the next."""
TIGHT = 0.97
"""Share of a latency limit from which on it counts as used up."""
EXPONENT = 0.7
"""Latency grows with this power of the multiply-adds, until a study shows another. Stock GhostNetV2
at widths 1.0, 1.3 and 1.6 takes about 8.0, 11.0 and 14.7 ms in ONNX Runtime on one x86 core."""


class Scaled(msgspec.Struct, frozen=True):
    """A published network at another width and resolution."""

    name: str
    """The preset."""
    width: float
    architecture: Architecture
    counts: Counts

    @property
    def label(self) -> str:
        return label_stock(self.name, self.architecture.resolution, self.width)


def list_missing_stock(
    space: SearchSpace, settings: Settings, trials: Sequence[Trial]
) -> dict[str, Architecture]:
    """Label → stock network that a study of these trials lacks, the most important first.

    They are the network that ratios refer to, those scaled to the budgets, and the other published
    ones. With a limit of latency only the first of these groups: the widths within it follow from
    what was measured, so ask again afterwards.
    """
    labels = {trial.baseline for trial in trials}
    published = list_stock_networks(space)
    missing = {label: arch for label, arch in published.items() if label not in labels}
    first = {label: missing[label] for label in missing if preset_name(label) == REFERENCE}
    ids = {arch.id for arch in published.values()}
    found = list_scaled(space, settings, trials).items()
    scaled = {label: arch for label, arch in found if arch.id not in ids}
    if any(get_metric(budget.metric).is_latency for budget in settings.budgets):
        return first or scaled or missing
    return first | scaled | missing


def list_scaled(
    space: SearchSpace, settings: Settings, trials: Sequence[Trial]
) -> dict[str, Architecture]:
    """Label → scaled stock network that a study of these trials lacks.

    For every view of the study, each family is scaled to the largest width that keeps all budgets,
    at one or two resolutions of the space. Latencies are predicted from the measured stock
    networks, nearest first. As a prediction may miss, another width is proposed until a measured
    network uses the limit up, or `MAX_TRIES` were measured. Without budgets there are none.
    """
    known = {trial.architecture.id for trial in trials}
    found: dict[str, Architecture] = {}
    for view in settings.views:
        stock = [trial.seen(view) for trial in trials if trial.baseline]
        resolutions = MAX_RESOLUTIONS if len(settings.views) == 1 else 1
        for each in _scale_to(space, view, stock, resolutions) if view.budgets else ():
            arch = each.architecture
            if arch.id not in known and not _is_settled(each, view, stock):
                found[each.label] = arch
    return found


def _scale_to(
    space: SearchSpace, view: Settings, stock: Sequence[Trial], resolutions: int
) -> Iterator[Scaled]:
    """Each family at up to so many resolutions, as wide as the budgets allow."""
    latencies = {
        budget: _Latencies(stock, budget)
        for budget in view.budgets
        if get_metric(budget.metric).is_latency
    }
    if not all(latencies.values()):
        return  # Nothing was measured that a latency could be predicted from.

    def fits(each: Scaled) -> bool:
        return keeps_budgets(view.budgets, each.counts) and all(
            predicted.of(each) <= budget.limit for budget, predicted in latencies.items()
        )

    for name in FIRST_OF_FAMILIES:
        widest = (_find_widest(name, side, space.num_classes, fits) for side in space.resolutions)
        fitting = [each for each in widest if each is not None]
        # Where arithmetic does not limit the resolution, the highest is better.
        fitting.sort(key=lambda each: (abs(math.log(each.width)), -each.counts.macs))
        yield from fitting[:resolutions]


def _find_widest(
    name: str, resolution: int, num_classes: int, fits: Callable[[Scaled], bool]
) -> Scaled | None:
    """The widest network that fits; None if none does."""

    def too_wide(hundredths: int) -> bool:
        return not fits(_scale(name, hundredths, resolution, num_classes))

    place = bisect_right(WIDTHS, False, key=too_wide)
    return _scale(name, WIDTHS[place - 1], resolution, num_classes) if place else None


@lru_cache(maxsize=1 << 12)
def _scale(name: str, hundredths: int, resolution: int, num_classes: int) -> Scaled:
    width = hundredths / 100
    arch = scale_preset(name, width).replace(resolution=resolution, num_classes=num_classes)
    return Scaled(name, width, arch, count(arch))


def _is_settled(proposed: Scaled, view: Settings, stock: Sequence[Trial]) -> bool:
    """Whether measured networks leave no need for this one, or it was tried often enough."""
    arch = proposed.architecture
    limits = [budget for budget in view.budgets if get_metric(budget.metric).is_latency]
    similar = [
        each
        for each in stock
        if each.architecture.family == arch.family
        and each.architecture.resolution == arch.resolution
        and 0.8 < each.counts.macs / proposed.counts.macs < 1.25
    ]
    tight = any(
        each.feasible and each.value(limit.metric) >= TIGHT * limit.limit
        for each in similar
        for limit in limits
    )
    return bool(limits) and (tight or len(similar) >= MAX_TRIES)


class _Latencies:
    """Latencies of scaled networks, predicted for the metric of a budget.

    A latency is that of the nearest measured network of the family, scaled by a power of the
    multiply-adds. A family that was not measured is taken to be like the others.
    """

    def __init__(self, stock: Sequence[Trial], budget: Budget) -> None:
        metric = get_metric(budget.metric)
        self._points = [
            (each.architecture.family, each.counts.macs, metric.value(each))
            for each in stock
            if math.isfinite(metric.value(each))
        ]
        self._exponent = _fit_exponent(self._points)

    def __bool__(self) -> bool:
        return bool(self._points)

    def of(self, network: Scaled) -> float:
        """Milliseconds."""
        family, macs = network.architecture.family, network.counts.macs
        own = [each for each in self._points if each[0] == family] or self._points
        _, near, latency = min(own, key=lambda each: abs(math.log(each[1] / macs)))
        return latency * math.pow(macs / near, self._exponent)


def _fit_exponent(points: Sequence[tuple[str, float, float]]) -> float:
    """The power that latency grows with within families; `EXPONENT` where they do not show it."""
    by_family: dict[str, list[tuple[float, float]]] = {}
    for family, macs, latency in points:
        by_family.setdefault(family, []).append((math.log(macs), math.log(latency)))
    covariance = variance = 0.0
    for group in by_family.values():
        mean_x, mean_y = (sum(values) / len(group) for values in zip(*group, strict=True))
        covariance += sum((x - mean_x) * (y - mean_y) for x, y in group)
        variance += sum((x - mean_x) ** 2 for x, _ in group)
    return min(max(covariance / variance, 0.4), 1.2) if variance > 0.05 else EXPONENT

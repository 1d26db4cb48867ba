"""Stock networks, which every front is compared with, and which latencies were confirmed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Set

from gnv2_nas.arch import Architecture, list_presets, preset
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.measurement.comparison import compare
from gnv2_nas.measurement.record import ErrorParts
from gnv2_nas.search.study.records import Trial
from gnv2_nas.space import SearchSpace


def preset_name(label: str) -> str:
    """The preset that a label of `list_stock_networks` speaks of."""
    return label.partition(" ")[0]


def list_stock_networks(space: SearchSpace) -> dict[str, Architecture]:
    """Label → published network, with the classes of the space.

    At its own resolution where the space has that, else at the nearest the space has; the label
    then names it.
    """
    networks = {}
    for name in list_presets():
        published = preset(name)
        resolution = min(space.resolutions, key=lambda side: abs(side - published.resolution))
        label = name if resolution == published.resolution else f"{name} at {resolution} px"
        networks[label] = published.replace(num_classes=space.num_classes, resolution=resolution)
    return networks


def select_confirmed(members: Iterable[Trial], confirmed: Set[int]) -> list[Trial]:
    """The members whose latency is that of a measurement at the end of a search.

    A later search of the same study may average it with another one: then it is not any more.

    Args:
        confirmed: numbers of the trials that were measured again at the end.
    """
    return [
        each
        for each in members
        if each.number in confirmed and each.latency is not None and "+" not in each.latency.batch
    ]


def share_rounds(one: Trial, other: Trial) -> bool:
    """Whether two latencies were taken in the same rounds."""
    if one.latency is None or other.latency is None:
        return False
    same = one.latency.batch == other.latency.batch
    return one.number == other.number or (same and bool(one.latency.batch))


def find_measured_stock(trials: Iterable[Trial]) -> Trial | None:
    """The stock network that a study is compared with, if it was measured."""
    for each in trials:
        if preset_name(each.baseline) == REFERENCE and each.latency is not None:
            return each
    return None


def latency_ratio(trial: Trial, stock: Trial) -> float:
    """Latency over that of `stock`; NaN when either was not measured.

    Taken in the same rounds, one is divided by the other. Else measured ratios refer to the
    published network by the panel; a `stock` that differs from it, for instance in resolution, is
    divided out.
    """
    if trial.latency is None or stock.latency is None:
        return math.nan
    if _is_reference(stock) and not _together(trial, stock):
        return trial.latency.ratio
    return trial.latency.ratio / stock.latency.ratio


def latency_ratio_interval(trial: Trial, stock: Trial) -> tuple[float, float]:
    """95% interval of `latency_ratio`.

    In the same rounds what both share, panel and calibration, is no error. Else intervals combine
    as independent errors of a logarithm.
    """
    if trial.latency is None or stock.latency is None:
        return math.nan, math.nan
    mine, theirs = trial.latency, stock.latency
    if _together(trial, stock):
        return compare(mine, theirs).ci95
    low, high = mine.ratio_ci95
    down, up = [math.log(mine.ratio / low)], [math.log(high / mine.ratio)]
    if not _is_reference(stock):
        stock_low, stock_high = theirs.ratio_ci95
        down.append(math.log(stock_high / theirs.ratio))
        up.append(math.log(theirs.ratio / stock_low))
    ratio = latency_ratio(trial, stock)
    return ratio * math.exp(-math.hypot(*down)), ratio * math.exp(math.hypot(*up))


def _together(trial: Trial, stock: Trial) -> bool:
    """Whether both were measured in the same rounds, by a version that kept the parts of errors."""
    measured = [each.latency for each in (trial, stock) if each.latency is not None]
    return share_rounds(trial, stock) and all(each.errors != ErrorParts() for each in measured)


def _is_reference(stock: Trial) -> bool:
    return stock.architecture.id == preset(REFERENCE).id

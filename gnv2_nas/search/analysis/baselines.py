"""Stock networks as the baseline of a front, and which latencies were confirmed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Set

from gnv2_nas.arch import Architecture, list_presets, preset
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.measurement.records.record import ErrorParts, compare
from gnv2_nas.search.study.records import Trial
from gnv2_nas.space import SearchSpace


def preset_name(label: str) -> str:
    """The preset in a label of `list_stock_networks`."""
    return label.partition(" ")[0]


def list_stock_networks(space: SearchSpace) -> dict[str, Architecture]:
    """Label → published network with the classes of the space.

    Each has its own resolution if the space contains it, else the nearest one of the space, which
    the label then names.
    """
    networks = {}
    for name in list_presets():
        published = preset(name)
        resolution = min(space.resolutions, key=lambda side: abs(side - published.resolution))
        label = name if resolution == published.resolution else f"{name} at {resolution} px"
        networks[label] = published.replace(num_classes=space.num_classes, resolution=resolution)
    return networks


def select_confirmed(members: Iterable[Trial], confirmed: Set[int]) -> list[Trial]:
    """The members whose latency was confirmed at the end of a search.

    A latency that a later search averaged with another measurement no longer counts.

    Args:
        confirmed: numbers of the trials that were measured again at the end.
    """
    return [
        each
        for each in members
        if each.number in confirmed and each.latency is not None and "+" not in each.latency.batch
    ]


def share_rounds(one: Trial, other: Trial) -> bool:
    """Whether two latencies were measured in the same rounds."""
    if one.latency is None or other.latency is None:
        return False
    same = one.latency.batch == other.latency.batch
    return one.number == other.number or (same and bool(one.latency.batch))


def find_measured_stock(trials: Iterable[Trial]) -> Trial | None:
    """Stock GhostNetV2 1.0 of a study, if its latency was measured."""
    for each in trials:
        if preset_name(each.baseline) == REFERENCE and each.latency is not None:
            return each
    return None


def latency_ratio(trial: Trial, stock: Trial) -> float:
    """Latency divided by that of `stock`; NaN if either was not measured.

    Measured ratios refer to published GhostNetV2 1.0. They are divided by the ratio of `stock` if
    both were measured in the same rounds, or if `stock` differs from the published network, for
    example in resolution.
    """
    if trial.latency is None or stock.latency is None:
        return math.nan
    if _is_reference(stock) and not _together(trial, stock):
        return trial.latency.ratio
    return trial.latency.ratio / stock.latency.ratio


def latency_ratio_interval(trial: Trial, stock: Trial) -> tuple[float, float]:
    """95 % interval of `latency_ratio`.

    Errors that both share by the same rounds (panel, calibration) cancel. Otherwise the intervals
    combine as independent errors of a logarithm.
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
    """Whether both were measured in the same rounds and their error parts are known."""
    measured = [each.latency for each in (trial, stock) if each.latency is not None]
    return share_rounds(trial, stock) and all(each.errors != ErrorParts() for each in measured)


def _is_reference(stock: Trial) -> bool:
    return stock.architecture.id == preset(REFERENCE).id

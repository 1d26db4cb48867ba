"""Stock networks as the baseline of a front, and which latencies were confirmed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Set

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.arch.presets import STOCK
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.measurement.records.record import ErrorParts, Measurement, compare
from gnv2_nas.search.study.records import Trial
from gnv2_nas.space import SearchSpace


def preset_name(label: str) -> str:
    """The preset in a label of `label_stock`."""
    return label.partition(" ")[0]


def list_stock_networks(space: SearchSpace) -> dict[str, Architecture]:
    """Label → published network with the classes of the space.

    Each has its own resolution if the space contains it, else the nearest one of the space, which
    the label then names.
    """
    networks = {}
    for name in STOCK:
        published = preset(name)
        resolution = min(space.resolutions, key=lambda side: abs(side - published.resolution))
        networks[label_stock(name, resolution)] = published.replace(
            num_classes=space.num_classes, resolution=resolution
        )
    return networks


def label_stock(name: str, resolution: int, width: float | None = None) -> str:
    """What a stock network is called: "ghostnetv2-1.0", "ghostnetv2-1.0 ×0.75 at 192 px".

    Args:
        name: the preset.
        width: multiplier of the channels of a scaled network.
    """
    scaled = f" ×{width:g}" if width is not None else ""
    at = f" at {resolution} px" if resolution != preset(name).resolution else ""
    return f"{name}{scaled}{at}"


def is_scaled(label: str) -> bool:
    """Whether the label is that of a scaled stock network."""
    return " ×" in label


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


def latency_ratio(trial: Trial, stock: Trial, device: str = "") -> float:
    """Latency divided by that of `stock`; NaN if either was not measured.

    Measured ratios refer to published GhostNetV2 1.0. They are divided by the ratio of `stock` if
    both were measured in the same rounds, or if `stock` differs from the published network, for
    example in resolution.

    Args:
        device: label of the device; "" for the only one, or for the largest ratio of several.
    """
    ratios = [_ratio(*pair, stock) for pair in _pair_latencies(trial, stock, device)]
    return max(ratios, default=math.nan)


def latency_ratio_interval(trial: Trial, stock: Trial, device: str = "") -> tuple[float, float]:
    """95 % interval of `latency_ratio`.

    Errors that both share by the same rounds (panel, calibration) cancel. Otherwise the intervals
    combine as independent errors of a logarithm. Of several devices, each end is the largest.
    """
    pairs = _pair_latencies(trial, stock, device)
    ends = [_ratio_interval(*pair, stock) for pair in pairs] or [(math.nan, math.nan)]
    return max(low for low, _ in ends), max(high for _, high in ends)


def _pair_latencies(
    trial: Trial, stock: Trial, device: str
) -> list[tuple[Measurement, Measurement]]:
    """Latencies of both networks on a device, or on every device; [] if one is not known."""
    devices = [device] if device else list(stock.latencies)
    pairs = [(trial.latencies.get(each), stock.latencies.get(each)) for each in devices]
    known = [(mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
    return known if len(known) == len(pairs) else []


def _ratio(mine: Measurement, theirs: Measurement, stock: Trial) -> float:
    if _is_reference(stock) and not _together(mine, theirs):
        return mine.ratio
    return mine.ratio / theirs.ratio


def _ratio_interval(mine: Measurement, theirs: Measurement, stock: Trial) -> tuple[float, float]:
    if _together(mine, theirs):
        return compare(mine, theirs).ci95
    low, high = mine.ratio_ci95
    down, up = [math.log(mine.ratio / low)], [math.log(high / mine.ratio)]
    if not _is_reference(stock):
        stock_low, stock_high = theirs.ratio_ci95
        down.append(math.log(stock_high / theirs.ratio))
        up.append(math.log(theirs.ratio / stock_low))
    ratio = _ratio(mine, theirs, stock)
    return ratio * math.exp(-math.hypot(*down)), ratio * math.exp(math.hypot(*up))


def _together(mine: Measurement, theirs: Measurement) -> bool:
    """Whether both were measured in the same rounds and their error parts are known."""
    same = mine.architecture == theirs.architecture or (
        mine.batch == theirs.batch and bool(mine.batch)
    )
    return same and all(each.errors != ErrorParts() for each in (mine, theirs))


def _is_reference(stock: Trial) -> bool:
    return stock.architecture.id == preset(REFERENCE).id

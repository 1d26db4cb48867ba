"""Stock networks, which every front is compared with, and which latencies were confirmed."""

from __future__ import annotations

from collections.abc import Iterable, Set

from gnv2_nas.arch import Architecture, list_presets, preset
from gnv2_nas.devices.panel import REFERENCE
from gnv2_nas.search.study.records import Candidate
from gnv2_nas.space import SearchSpace


def published_name(label: str) -> str:
    """The preset that a label of `stock_networks` speaks of."""
    return label.partition(" ")[0]


def stock_networks(space: SearchSpace) -> dict[str, Architecture]:
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


def confirmed_among(members: Iterable[Candidate], confirmed: Set[int]) -> list[Candidate]:
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


def side_by_side(one: Candidate, other: Candidate) -> bool:
    """Whether two latencies were taken in the same rounds."""
    if one.latency is None or other.latency is None:
        return False
    same = one.latency.batch == other.latency.batch
    return one.number == other.number or (same and bool(one.latency.batch))


def measured_reference(candidates: Iterable[Candidate]) -> Candidate | None:
    """The stock network that a study is compared with, if it was measured."""
    for each in candidates:
        if published_name(each.baseline) == REFERENCE and each.latency is not None:
            return each
    return None

"""Stock networks: what every front is held against."""

from __future__ import annotations

from gnv2_nas.arch import Architecture, list_presets, preset
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

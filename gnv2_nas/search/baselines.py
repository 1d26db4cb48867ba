"""Stock networks: what every front is held against."""

from __future__ import annotations

from gnv2_nas.arch import Architecture, list_presets, preset
from gnv2_nas.space import SearchSpace


def stock_networks(space: SearchSpace) -> dict[str, Architecture]:
    """Name → published network, with the classes and the largest resolution of the space."""
    resolution = space.decode(space.largest()).resolution
    return {
        name: preset(name).replace(num_classes=space.num_classes, resolution=resolution)
        for name in list_presets()
    }

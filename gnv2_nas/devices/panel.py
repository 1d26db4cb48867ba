"""The panel: reference networks of all sizes. A batch is measured beside those of similar size.

A disturbance of the machine does not slow all networks equally. A network that fits the caches, or
whose calls are mostly overhead, suffers more than one that computes for milliseconds. Relative to a
reference ten times its size, it drifts by several per cent within seconds; relative to one of its
own size, no more than any network relative to itself. `position` describes that sensitivity.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.arch.presets import ghostnet, mobilenetv3_large
from gnv2_nas.formats.foreign.network import TimedNetwork, counts_of

REFERENCE = "ghostnetv2-1.0"
"""The preset that every ratio refers to."""
REFERENCES_PER_NETWORK = 3
"""A single reference drifts by itself; the mean of three of one size drifts less."""
HALF_MACS = 40e6
"""Multiply-adds of a network at position 0.5."""
MAX_MACS = 400e6
"""Larger networks are all slowed down equally."""


@cache
def reference_networks() -> dict[str, Architecture]:
    """Return all reference networks by name, from the largest to the smallest."""
    small = {"resolution": 64, "num_classes": 10}
    tiny = {"resolution": 32, "num_classes": 10}
    return {
        "mobilenetv3-large-1.0": preset("mobilenetv3-large-1.0"),
        REFERENCE: preset(REFERENCE),
        "ghostnet-1.0": preset("ghostnet-1.0"),
        "ghostnetv2-1.0 at 128": preset(REFERENCE).replace(resolution=128),
        "ghostnetv2-0.5 at 128": ghostnet(0.5, dfc=True).replace(resolution=128),
        "ghostnetv2-0.5 at 64": ghostnet(0.5, dfc=True).replace(**small),
        "ghostnetv2-0.25 at 32": ghostnet(0.25, dfc=True).replace(**tiny),
        "mobilenetv3-large-0.25 at 32": mobilenetv3_large(0.25).replace(**tiny),
    }


def position(network: TimedNetwork) -> float:
    """Return a network's sensitivity to disturbances: 0.1 for large ones, near 1 for tiny ones.

    A file whose multiply-adds cannot be counted is taken for a large one.
    """
    counted = counts_of(network).macs
    macs = MAX_MACS if counted is None else min(counted, MAX_MACS)
    return 1 / (1 + macs / HALF_MACS)


def select_references(
    networks: Iterable[TimedNetwork], panel: dict[str, Architecture]
) -> list[str]:
    """Return the names in `panel` closest in position to any of the networks, in its order."""
    positions = {name: position(arch) for name, arch in panel.items()}
    chosen: set[str] = set()
    for network in networks:
        own = position(network)
        nearest = sorted(positions, key=lambda name: abs(positions[name] - own))
        chosen.update(nearest[:REFERENCES_PER_NETWORK])
    return [name for name in panel if name in chosen]

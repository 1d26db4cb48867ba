"""The panel: reference networks of every size, of which a batch gets those like its own networks.

What slows a machine down does not slow all networks alike. A network that fits the caches, or whose
calls are mostly overhead, suffers more from a neighbour than one that computes for milliseconds:
against a reference ten times its size it drifts by several per cent within seconds, against one of
its own size by no more than any network against itself. `position` is where a network stands in
that respect.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from gnv2_nas.arch import Architecture, preset
from gnv2_nas.arch.presets import ghostnet, mobilenetv3_large
from gnv2_nas.graph import count

REFERENCE = "ghostnetv2-1.0"
"""The preset that every ratio refers to."""


ALIKE = 3
"""References a network gets: one drifts by itself, three of one size do so less."""
EVEN_MACS = 40e6
"""Multiply-adds of a network in the middle of the positions: what slows 224 pixels down slows it
down by about half as much again."""
LARGE_MACS = 400e6
"""From so many on, networks are slowed down alike."""


@cache
def reference_networks() -> dict[str, Architecture]:
    """All reference networks by name, from the largest to the smallest."""
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


def position(arch: Architecture) -> float:
    """How much more than a large network it suffers: 0.1 for those, near 1 for a tiny one."""
    return 1 / (1 + min(count(arch).macs, LARGE_MACS) / EVEN_MACS)


def like(architectures: Iterable[Architecture], panel: dict[str, Architecture]) -> list[str]:
    """Names of those in `panel` that are most like any of the networks, in the panel's order."""
    places = {name: position(arch) for name, arch in panel.items()}
    chosen: set[str] = set()
    for arch in architectures:
        own = position(arch)
        chosen.update(sorted(places, key=lambda name: abs(places[name] - own))[:ALIKE])
    return [name for name in panel if name in chosen]

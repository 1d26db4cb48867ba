"""Landscapes by name."""

from __future__ import annotations

from functools import cache

from benchmarks.landscapes.ghostnetv2 import Ghostnetv2
from benchmarks.landscapes.landscape import Landscape
from benchmarks.landscapes.mobile import Mobile

LANDSCAPES = ("ghostnetv2", "mobile")


def open_landscape(name: str, instance: int) -> Landscape:
    """A landscape of `LANDSCAPES`; `ghostnetv2` has a single instance."""
    if name == "mobile":
        return Mobile(instance)
    return _ghostnetv2()


@cache
def _ghostnetv2() -> Ghostnetv2:
    """Fitted once a process: it takes two seconds."""
    return Ghostnetv2()

"""A few small modules, timed briefly, in place of all that `gnv2-nas modules` compares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gnv2_nas.measurement.modules import cases, times
from gnv2_nas.measurement.plan import MeasurementPlan

_FEW: dict[str, Any] = {
    "GHOST_MAPS": {7: (16, 32)},
    "DFC_MAPS": {14: 16},
    "ATTENTION_SIDES": (7,),
    "ATTENTION_CHANNELS": 16,
    "BLOCKS": ((7, 16, 32, 16, 1), (14, 16, 32, 24, 2)),
    "TAPS": (3, 11),
}
"""Constant of `measurement/modules/cases.py` → its value."""


def shorten_modules(change: Callable[[Any, str, Any], None] = setattr) -> None:
    """Set the constants that decide what is measured, and how long."""
    for name, value in _FEW.items():
        change(cases, name, value)
    change(times, "PLAN", MeasurementPlan(sessions=1, rounds=12, max_sessions=1))

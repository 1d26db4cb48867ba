"""Where a search stands."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gnv2_nas.search.study.records import Trial


class Status(msgspec.Struct, frozen=True):
    """Where a search stands, for a progress line."""

    evaluated: int
    wanted: int
    proposed: int
    rejected: int
    feasible: int
    """Of the evaluated."""
    front: int
    best: Trial | None
    """Best of the front in the first objective."""
    seconds: float
    seconds_left: float | None
    """Until the trials or the time run out, whichever comes first; None while unknown."""
    doing: str


Observer = Callable[[Status], None]

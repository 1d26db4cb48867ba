"""Tail latencies, where there are calls enough to speak of one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ENOUGH = {"p90": (90, 64), "p95": (95, 130), "p99": (99, 662)}
"""Name → percentile and how many calls it takes, by MLPerf Inference's early-stopping rule."""


def percentiles(milliseconds: NDArray[np.float64]) -> dict[str, float]:
    """Those of p90, p95 and p99 that the sample is large enough for."""
    return {
        name: round(float(np.percentile(milliseconds, percent)), 5)
        for name, (percent, enough) in ENOUGH.items()
        if len(milliseconds) >= enough
    }

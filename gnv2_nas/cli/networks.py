"""How networks and measurements are shown on a terminal."""

from __future__ import annotations

from gnv2_nas.arch import Architecture
from gnv2_nas.graph import count
from gnv2_nas.measurement.record import Measurement
from gnv2_nas.units import format_quantity


def size_line(arch: Architecture) -> str:
    """ "167.0 MFLOPs, 6.16 Mparams, 30.1 MB": what arithmetic knows, in one line."""
    counts = count(arch)
    return ", ".join(
        (
            format_quantity("macs", counts.macs),
            format_quantity("params", counts.params),
            format_quantity("bytes", counts.memory_bytes),
        )
    )


def latency_cells(latency: Measurement | None) -> tuple[str, str, str]:
    """Milliseconds, 95 % interval and ratio to stock GhostNetV2 1.0."""
    if latency is None:
        return "–", "–", "–"
    low, high = latency.ci95
    mark = "" if latency.stable else " ?"
    return f"{latency.ms:.2f}{mark}", f"{low:.2f}–{high:.2f}", f"{latency.ratio:.3f}"

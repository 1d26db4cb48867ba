"""What identifies the machine that a latency was measured on, and the state that it is in."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from gnv2_nas.cores import usable_cores
from gnv2_nas.runner import huge_pages
from gnv2_nas.runner.sessions import engine_version

_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def read_machine(engine: str) -> dict[str, Any]:
    """Return what identifies the machine: the fields of `Fingerprint`, but for `runtime`.

    Args:
        engine: a key of `ENGINES`; its version is added as `engine`.
    """
    return {"engine": engine_version(engine), **describe_machine()}


def describe_machine() -> dict[str, Any]:
    """Return the fields of `Fingerprint`, but for `runtime`."""
    return {
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "memory_gib": round(_memory_bytes() / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "governor": _read(_GOVERNOR) or "unknown",
        "load": round(os.getloadavg()[0], 2),
        "huge_pages": huge_pages.in_use(),
    }


def read_conditions() -> dict[str, Any]:
    """Return the state of the machine that affects latencies."""
    return {"governor": _read(_GOVERNOR) or "unknown", "load": round(os.getloadavg()[0], 2)}


def _cpu_model() -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, ValueError):
        return ""

"""What identifies the machine that a latency was measured on."""

from __future__ import annotations

import os
import platform
from collections import Counter
from pathlib import Path
from typing import Any

from gnv2_nas.cores import usable_cores
from gnv2_nas.runner import huge_pages
from gnv2_nas.runner.sessions import engine_version

_BOARD, _CPUINFO = Path("/proc/device-tree/model"), Path("/proc/cpuinfo")
VECTORS = ("avx512f", "avx2", "avx", "sse2", "sve2", "sve", "asimd", "neon")
"""Names of vector instructions on x86 and Arm, the widest of each first."""
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
        "cpu": cpu_model(_read(_BOARD), _read(_CPUINFO)) or platform.machine(),
        "cores": usable_cores(),
        "memory_gib": round(memory_bytes() / 2**30, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "governor": _read(_GOVERNOR) or "unknown",
        "load": _load(),
        "huge_pages": huge_pages.in_use(),
        "vectors": widest_vectors(_read(_CPUINFO)),
    }


def cpu_model(board: str, cpuinfo: str) -> str:
    """Return what identifies the processor.

    Arm kernels do not name it. Then it is the board, or else the parts that Arm's manuals list, as
    in "Arm 4 × 0x41:0xd05, 4 × 0x41:0xd41".

    Args:
        board: content of `/proc/device-tree/model`; "" on a machine without, such as a PC.
        cpuinfo: content of `/proc/cpuinfo`, which may lack any line.

    Returns:
        "" if there is nothing that identifies it.
    """
    lines = [line.partition(":")[::2] for line in cpuinfo.splitlines()]
    pairs = [(key.strip(), value.strip()) for key, value in lines]
    known = {key: value for key, value in reversed(pairs) if value}
    named = (board, known.get("model name"), known.get("Model"), known.get("Hardware"))
    if name := next(filter(None, named), ""):
        return name
    makers = [value for key, value in pairs if key == "CPU implementer"]
    parts = [value for key, value in pairs if key == "CPU part"]
    counts = Counter(f"{maker}:{part}" for maker, part in zip(makers, parts))
    listed = ", ".join(f"{count} × {part}" for part, count in counts.items())
    return f"Arm {listed}" if listed else ""


def widest_vectors(cpuinfo: str) -> str:
    """Return the widest vector instructions in `/proc/cpuinfo`; "" if it lists none of `VECTORS`.

    The cores of a processor may differ, so only what all of them have counts.
    """
    lines = [line.partition(":")[::2] for line in cpuinfo.splitlines()]
    flags = [set(value.split()) for key, value in lines if key.strip() in ("flags", "Features")]
    common = set.intersection(*flags) if flags else set()
    return next((name for name in VECTORS if name in common), "")


def _load() -> float:
    """Return the load average of one minute; 0 where the system does not tell it, as on Android."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return 0.0


def memory_bytes() -> int:
    """Return the memory of this machine; 0 where the system does not tell it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text().strip(" \n\0")
    except (OSError, ValueError):
        return ""

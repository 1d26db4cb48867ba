"""The machine and software that a latency was measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec

from gnv2_nas.cores import usable_cores
from gnv2_nas.runner import huge_pages


class Fingerprint(msgspec.Struct, frozen=True):
    """The machine and software that a latency was measured on."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    runtime: str
    """Runtime and version, for instance "onnxruntime 1.23.0"."""
    governor: str = "unknown"
    load: float = 0.0
    """One-minute load average when the measurement began."""
    huge_pages: bool = False
    """Whether weights were in pages of 2 MiB, see `huge_pages`."""


_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def fingerprint(runtime: str) -> Fingerprint:
    """Return the fingerprint of this machine.

    Args:
        runtime: name and version of the runtime.
    """
    return Fingerprint(
        cpu=_cpu_model(),
        cores=usable_cores(),
        memory_gib=round(_memory_bytes() / 2**30, 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        runtime=runtime,
        governor=_GOVERNOR.read_text().strip() if _GOVERNOR.exists() else "unknown",
        load=round(os.getloadavg()[0], 2),
        huge_pages=huge_pages.in_use(),
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

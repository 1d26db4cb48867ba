"""How many cores this process may use: its affinity (`taskset`) and its CPU quota (cgroups)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Number of threads that can run at the same time; at least 1."""
    quota = cpu_quota()
    return affinity() if quota is None else max(1, min(affinity(), int(quota)))


def affinity() -> int:
    """Number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota() -> float | None:
    """The smallest CPU quota of the process's cgroups, in cores; None if there is none.

    Reads `cpu.max` of cgroups v2 and `cpu.cfs_quota_us` of v1. In a container, the folder in /proc
    often does not exist, and the root of the mount applies.
    """
    quotas = (_quota(folder) for folder in _folders())
    return min((quota for quota in quotas if quota is not None), default=None)


def shortage(threads: int) -> str:
    """A warning if `threads` cannot run at the same time, else ""."""
    cores, quota = affinity(), cpu_quota()
    if quota is not None and quota < min(threads, cores):
        return f"{_threads(threads)} on {quota:g} cores, the CPU quota of this container"
    if threads > cores:
        whole = cores == (os.cpu_count() or cores)
        why = "all that this machine has" if whole else "the affinity of this process (taskset)"
        return f"{_threads(threads)} on {cores} core{'s' * (cores > 1)}, {why}"
    return ""


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _folders() -> Iterator[Path]:
    """Folders of the process's cgroups and of all parents."""
    try:
        lines = OWN_CGROUPS.read_text().splitlines()
    except (OSError, ValueError):
        lines = ["0::/"]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, own = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        mounts = (controllers, "cpu") if controllers else ("", "unified")
        parts = PurePosixPath(own.lstrip("/")).parts
        for mount in mounts:
            for depth in range(len(parts), -1, -1):
                yield CGROUPS.joinpath(mount, *parts[:depth])


def _quota(folder: Path) -> float | None:
    words = _read(folder / "cpu.max").split()
    if not words:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = [word for name in names for word in _read(folder / name).split()]
    try:
        quota, period = map(int, words)
    except ValueError:  # "max", or an empty file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""

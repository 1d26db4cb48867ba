"""What this process may use: cores by affinity (`taskset`), CPU quota and memory by cgroups."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from gnv2_nas.errors import InputError

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
MAX_CORE = 8191
"""Linux knows no more cores than that."""
_LONGEST = len(f"{MAX_CORE}-{MAX_CORE}")


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
    quotas = (_quota(folder) for folder in _folders("cpu"))
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit() -> int | None:
    """The smallest memory limit of the process's cgroups, in bytes; None if there is none.

    Reads `memory.max` of cgroups v2 and `memory.limit_in_bytes` of v1.
    """
    names = ("memory.max", "memory.limit_in_bytes")
    limits = [_read(folder / name).strip() for folder in _folders("memory") for name in names]
    return min((int(limit) for limit in limits if limit.isdecimal()), default=None)


def parse_cores(text: str) -> set[int]:
    """Return the cores of a list as the kernel writes it, such as "0-3,6" or "0 1 2 3 6".

    What the kernel would not write is left out.
    """
    cores: set[int] = set()
    for part in text.replace(",", " ").split():
        first, _, last = part.partition("-")
        last = last or first
        numbers = first.isdecimal() and last.isdecimal() and len(part) <= _LONGEST
        if numbers and int(last) <= MAX_CORE:
            cores.update(range(int(first), int(last) + 1))
    return cores


def format_cores(cores: Iterable[int]) -> str:
    """Return a list as the kernel writes it, such as "0-3,6"."""
    runs: list[list[int]] = []
    for core in sorted(set(cores)):
        if runs and core == runs[-1][1] + 1:
            runs[-1][1] = core
        else:
            runs.append([core, core])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def check_cores(cores: Iterable[int]) -> None:
    """Check that this process may be pinned to cores.

    Raises:
        InputError: a core does not exist or is not allowed, or this system cannot pin.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise InputError(f"cores {format_cores(cores)} cannot be used: this system cannot pin")
    allowed = os.sched_getaffinity(0)
    if missing := set(cores) - allowed:
        raise InputError(
            f"cores {format_cores(missing)} cannot be used: this process may run on "
            f"{format_cores(allowed)}"
        )


@contextmanager
def pinned(cores: Collection[int]) -> Iterator[None]:
    """Within the block, all threads of this process run on these cores alone; () changes nothing.

    Threads that are started within the block inherit the cores. Afterwards every thread has the
    cores that it had, or those that the calling thread had.

    Raises:
        InputError: see `check_cores`.
    """
    if not cores:
        yield
        return
    check_cores(cores)
    own = os.sched_getaffinity(0)
    before = dict(_affinities())
    _set_affinities({thread: set(cores) for thread in before})
    try:
        yield
    finally:
        _set_affinities({thread: before.get(thread, own) for thread, _ in _affinities()})


def _affinities() -> Iterator[tuple[int, set[int]]]:
    for thread in [int(task.name) for task in Path("/proc/self/task").iterdir()]:
        with suppress(ProcessLookupError):
            yield thread, os.sched_getaffinity(thread)


def _set_affinities(affinities: Mapping[int, set[int]]) -> None:
    for thread, cores in affinities.items():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread, cores)


def shortage(threads: int, pins: Collection[int] = (), *, here: bool = True) -> str:
    """A warning if `threads` cannot run at the same time, else "".

    Args:
        threads: number of threads.
        pins: cores that they are pinned to; () for none.
        here: whether they run on this machine.
    """
    if pins and threads > len(set(pins)):
        return f"{_threads(threads)} on {_cores(len(set(pins)))}, all that its profile allows"
    if not here:
        return ""
    cores, quota = affinity(), cpu_quota()
    if quota is not None and quota < min(threads, cores):
        return f"{_threads(threads)} on {quota:g} cores, the CPU quota of this container"
    if threads > cores:
        whole = cores == (os.cpu_count() or cores)
        why = "all that this machine has" if whole else "the affinity of this process (taskset)"
        return f"{_threads(threads)} on {_cores(cores)}, {why}"
    return ""


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _cores(count: int) -> str:
    return f"{count} core{'s' * (count > 1)}"


def _folders(controller: str) -> Iterator[Path]:
    """Folders of the process's cgroups with a controller, and of all parents."""
    try:
        lines = OWN_CGROUPS.read_text().splitlines()
    except (OSError, ValueError):
        lines = ["0::/"]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, own = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        mounts = (controllers, controller) if controllers else ("", "unified")
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

"""`build`: the native runner as one program, made from what the package index has.

The program is linked statically with musl's C library, so it runs on every Linux, Android included.
It stays in the user's cache; compiler and object files are removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gnv2_nas.devices.native.compiling import (
    COMPILER,
    LAYERS,
    OPTIONS,
    PROTOCOL,
    RUNNER_OPTIONS,
    SOURCES,
    TARGETS,
    Progress,
    Target,
    Workshop,
)  # fmt: skip
from gnv2_nas.devices.native.sources import (
    GIBIBYTES,
    NCNN_HASH,
    TOOLS,
    fetch_ncnn,
    fetch_tools,
)  # fmt: skip
from gnv2_nas.errors import DeviceError, OutputError, StorageError
from gnv2_nas.files.caches import cache_folder
from gnv2_nas.files.leftovers import create_aside
from gnv2_nas.files.writing import check_writable

_MACHINES: Mapping[str, Target] = {
    "aarch64": "aarch64", "arm64": "aarch64", "armv7l": "armv7", "armv8l": "armv7",
    "x86_64": "x86_64", "amd64": "x86_64",
}  # fmt: skip


def target_of(machine: str) -> Target:
    """Return the target for a machine, as `uname -m` names it.

    Raises:
        DeviceError: there is no native runner for it.
    """
    if target := _MACHINES.get(machine.lower()):
        return target
    raise DeviceError(
        f"there is no native runner for {machine!r}; there is one for {', '.join(sorted(TARGETS))}"
    )


def native_name(target: Target) -> str:
    """Return the file's name, which changes with everything that the program is made from."""
    options = (TARGETS[target], sorted(LAYERS), OPTIONS, COMPILER, RUNNER_OPTIONS, PROTOCOL)
    digest = hashlib.sha256(repr((options, NCNN_HASH, TOOLS)).encode())
    for source in SOURCES:
        digest.update(source.read_bytes())
    return f"runner-native-{digest.hexdigest()[:12]}"


def find_built(target: Target) -> Path | None:
    """Return the program if the cache has it."""
    folder = cache_folder("native")
    built = folder / native_name(target) if folder else None
    return built if built and built.is_file() else None


def build(target: Target, progress: Progress = lambda _: None) -> Path:
    """Return the program. If the cache lacks it, it is built, which takes minutes.

    Raises:
        OutputError: there is no folder to build in.
        RunError: the package index cannot be reached, or a step failed.
        StorageError: the disk is full.
    """
    folder = cache_folder("native")
    if folder is None:
        raise OutputError("there is no home folder to build the native runner in: set HOME")
    built = folder / native_name(target)
    if not built.is_file():
        check_writable(folder)
        with _only_builder(folder, progress):
            if not built.is_file():
                _build(target, built, progress)
    return built


def _build(target: Target, built: Path, progress: Progress) -> None:
    if shutil.disk_usage(built.parent).free < GIBIBYTES * 2**30:
        raise StorageError(
            f"building the native runner takes {GIBIBYTES} GiB in {str(built.parent)!r}: make "
            "room, or set XDG_CACHE_HOME to a folder on another disk"
        )
    work, descriptor = create_aside(built, folder=True)
    try:
        progress("native runner: fetching a compiler and ncnn's source")
        tools = work / "tools"
        fetch_tools(tools)
        source = fetch_ncnn(work)
        workshop = Workshop(target, tools, work, progress)
        workshop.compile_ncnn(source)
        workshop.link_runner(source).replace(built)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(f"cannot build the native runner: {reason}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def _only_builder(folder: Path, progress: Progress) -> Iterator[None]:
    """One process of a user builds at a time; the others wait and take what it has built."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # without locks, processes build side by side
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                progress("native runner: waiting for another process that builds it")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

"""Which engine a device can have as a wheel, and which it can have otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gnv2_nas.devices.provision.probe import Libc, Probe, Python, Version, format_version
from gnv2_nas.runner.sessions import ENGINES
from gnv2_nas.runtimes.base import RuntimeName

MIN_PYTHON = (3, 9)
"""Oldest Python that the runner works with."""
MIN_PIP = (22, 3)
"""First pip that installs into another environment."""
_GLIBC = "glibc"


class Wheel(msgspec.Struct, frozen=True):
    """What an engine's wheels need."""

    module: str
    """Module that is imported to see that it works."""
    minimum: str
    """Oldest version that reads our files."""
    glibc: Mapping[str, Version]
    """Architecture → oldest glibc that a wheel of that version or later exists for."""
    others: Mapping[str, Version] = {}
    """Other C library → the oldest version that wheels exist for."""
    needs: tuple[str, ...] = ()
    """Distributions beside numpy that it imports."""
    megabytes: int = 200
    """Disk that it and numpy take."""


WHEELS: Mapping[str, Wheel] = {
    "onnxruntime": Wheel("onnxruntime", "1.19", {"x86_64": (2, 27), "aarch64": (2, 27)}),
    "litert": Wheel(
        "ai_edge_litert.interpreter",
        "2.1",
        {"x86_64": (2, 27), "aarch64": (2, 27)},
        needs=("ml-dtypes",),
    ),
    "ncnn": Wheel(
        "ncnn",
        "1.0.20250503",
        {"x86_64": (2, 24), "aarch64": (2, 24), "armv7l": (2, 31)},
        {"musl": (1, 2), "bionic": (24,)},
        megabytes=120,
    ),
    "openvino": Wheel("openvino", "2025.0", {"x86_64": (2, 28), "aarch64": (2, 35)}, megabytes=320),
}
"""Runtime → its wheels, from the package index in 2026. ExecuTorch is not among them: its bindings
need the whole of torch."""
NATIVE_MACHINES = ("aarch64", "armv7l", "x86_64")
"""Architectures that the native runner is built for; it is linked statically and needs no libc."""
PYTHON_RUNTIME: RuntimeName = "onnxruntime"
"""Runtime of a device with Python if the user names none."""
NATIVE_RUNTIME: RuntimeName = "ncnn"


def choose_python(probe: Probe) -> Python | None:
    """Return the interpreter for a virtual environment; None if the device has none that fits."""
    fitting = [each for each in probe.pythons if each.version >= MIN_PYTHON and each.venv]
    return next(iter(fitting), None)


def refusal(runtime: str, probe: Probe) -> str:
    """Return why a device cannot have a runtime with Python; "" if nothing is known against it."""
    return _refuse_python(probe) or _refuse_wheel(WHEELS[runtime], runtime, probe)


def describe_alternatives(probe: Probe) -> str:
    """Return what the device can run instead, as the end of an error message."""
    fitting = [runtime for runtime in WHEELS if not refusal(runtime, probe)]
    ways = [f"--runtime {runtime}" for runtime in fitting]
    if probe.machine in NATIVE_MACHINES:
        ways.append("--runner native")
    return f"use {' or '.join(ways)}" if ways else "no runtime works there"


def requirements(runtime: str, version: str = "") -> list[str]:
    """Return what pip is asked for: exactly one engine and what it imports.

    Args:
        runtime: a key of `WHEELS`.
        version: newest version wanted, because this machine writes files for it; "" for any.
    """
    wheel = WHEELS[runtime]
    limit = f",<={version}" if version else ""
    return [f"{ENGINES[runtime][1]}>={wheel.minimum}{limit}", "numpy>=1.23", *wheel.needs]


def wheel_platforms(probe: Probe) -> list[str]:
    """Return the platform tags of wheels that a device can use, the best first."""
    libc, machine = probe.libc, probe.machine
    if libc.kind == _GLIBC and libc.version[:1] == (2,):
        tags = [f"manylinux_2_{minor}_{machine}" for minor in range(libc.version[1], 16, -1)]
        return [*tags, f"manylinux2014_{machine}"]
    if libc.kind == "musl" and libc.version[:1] == (1,):
        return [f"musllinux_1_{minor}_{machine}" for minor in range(libc.version[1], 0, -1)]
    if libc.kind == "bionic" and libc.version:
        abi = {"aarch64": "arm64_v8a", "armv7l": "armeabi_v7a"}.get(machine, machine)
        return [f"android_{level}_{abi}" for level in range(libc.version[0], 20, -1)]
    return []


def _refuse_python(probe: Probe) -> str:
    if choose_python(probe):
        return ""
    oldest = format_version(MIN_PYTHON)
    if not probe.pythons:
        return f"it has no Python (python3, {oldest} or later)"
    newest = max(probe.pythons, key=lambda each: each.version)
    if newest.version < MIN_PYTHON:
        return f"its Python {format_version(newest.version)} is too old; {oldest} or later works"
    return (
        f"its Python {format_version(newest.version)} has no module 'venv': install it there "
        "(on Debian: apt install python3-venv)"
    )


def _refuse_wheel(wheel: Wheel, runtime: str, probe: Probe) -> str:
    libc, name = probe.libc, ENGINES[runtime][1]
    if libc.kind == _GLIBC:
        if probe.machine not in wheel.glibc:
            return f"there is no wheel of {name} for {probe.machine}"
        return _refuse_version(name, libc, wheel.glibc[probe.machine])
    if libc.kind not in wheel.others:
        return f"there is no wheel of {name} for {libc}"
    return _refuse_version(name, libc, wheel.others[libc.kind])


def _refuse_version(name: str, libc: Libc, oldest: Version) -> str:
    if libc.version >= oldest:
        return ""
    return f"its C library, {libc}, is too old for {name}, which needs {format_version(oldest)}"

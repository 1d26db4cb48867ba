"""The program that loads and times networks on a device: `runner.pyz`, or the native runner."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec

import gnv2_nas
from gnv2_nas.devices.native.build import find_built, target_of
from gnv2_nas.devices.native.compiling import Target
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.transports.base import Transport
from gnv2_nas.errors import DeviceError

MODULES = ("errors.py", "cores.py")
"""What the room `runner` imports from the rest of the package."""
_MAIN = "from gnv2_nas.runner.serve import main\n\nmain()\n"
_DATE = (1980, 1, 1, 0, 0, 0)


class RunnerProgram(msgspec.Struct, frozen=True):
    """The program that loads and times networks on a device."""

    name: str
    """Its file in the transport's folder; the name changes with the content."""
    content: bytes
    command: tuple[str, ...]
    """Program and arguments that start it, in that folder."""
    reads_image: bool = False
    """It cannot compute `timing_image` and gets it as a file."""


ProgramFor = Callable[[Transport], RunnerProgram]
"""Returns the program for the device that a transport reaches."""


def python_runner(profile: DeviceProfile, python: str = "") -> RunnerProgram:
    """Return `runner.pyz`.

    Args:
        profile: of the device.
        python: the Python that runs it (default: of the device's virtual environment).
    """
    name = runner_name()
    python = python or f"{environment_folder(profile.runtime)}/bin/python"
    return RunnerProgram(name, runner_bytes(), (python, "-I", name, *runner_arguments(profile)))


def native_runner(profile: DeviceProfile, transport: Transport) -> RunnerProgram:
    """Return the native runner for the processor of a device.

    Raises:
        DeviceError: there is none for it, or it is not built yet, or the device fails.
    """
    target = native_target(transport)
    built = find_built(target)
    if built is None:
        raise DeviceError(
            f"the native runner for {target} is not built on this machine: "
            "gnv2-nas devices check builds it"
        )
    command = (f"./{built.name}", *runner_arguments(profile))
    return RunnerProgram(built.name, built.read_bytes(), command, reads_image=True)


def native_target(transport: Transport) -> Target:
    """Return the processor that the native runner must be built for.

    It is linked statically, so the kernel decides, not the device's other programs.

    Raises:
        DeviceError: there is no native runner for it, or the device fails.
    """
    machine = transport.run(["uname", "-m"], timeout=60.0).output.decode(errors="replace").strip()
    return target_of(machine)


def environment_folder(runtime: str) -> str:
    """Return the folder of a runtime's virtual environment on a device."""
    return f"venv-{runtime}"


def runner_arguments(profile: DeviceProfile) -> list[str]:
    """Return the arguments of a runner, see `runner.serve.main`."""
    arguments = [profile.runtime, "--threads", str(profile.threads)]
    arguments += ["--precision", profile.precision, "--processor", profile.processor]
    if profile.cores:
        arguments += ["--cores", ",".join(map(str, profile.cores))]
    if profile.pace:
        arguments += ["--pace", str(1 / profile.pace)]
    return arguments


@cache
def runner_bytes() -> bytes:
    """Return `runner.pyz`, a zip file that Python runs; the same code gives the same bytes."""
    package = Path(gnv2_nas.__file__).parent
    sources = [package / name for name in MODULES] + sorted((package / "runner").glob("*.py"))
    contents = {"__main__.py": _MAIN, "gnv2_nas/__init__.py": ""}
    for source in sources:
        contents[f"gnv2_nas/{source.relative_to(package).as_posix()}"] = source.read_text()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in contents.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), text, zipfile.ZIP_DEFLATED)
    return file.getvalue()


@cache
def runner_name() -> str:
    """Return the file's name on a device, which changes with its content."""
    return f"runner-{hashlib.sha256(runner_bytes()).hexdigest()[:12]}.pyz"

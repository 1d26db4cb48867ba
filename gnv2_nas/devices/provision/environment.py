"""The virtual environment of a device: one engine and numpy, in the package's own folder."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from gnv2_nas.devices.provision.engines import (
    MIN_PIP,
    WHEELS,
    choose_python,
    describe_alternatives,
    refusal,
    requirements,
    wheel_platforms,
)
from gnv2_nas.devices.provision.probe import Probe, Python, format_version
from gnv2_nas.devices.runner_program import environment_folder
from gnv2_nas.devices.transports.base import Completed, Transport, last_line
from gnv2_nas.errors import DeviceError, DeviceFullError, InputError
from gnv2_nas.runner.sessions import ENGINES, engine_version

COMPLETE = "gnv2-nas-complete"
"""File in the environment that is written when everything else is there."""
WHEEL_FOLDER = "wheels"
INSTALL_TIMEOUT = 900.0
"""Seconds; a board on a slow line may need minutes for the wheels."""
COMMAND_TIMEOUT = 120.0
_PIP = ("-m", "pip")
_QUIET = ("--quiet", "--disable-pip-version-check", "--no-input")
_WHEELS_ONLY = ("--no-deps", "--only-binary=:all:")


def ensure_environment(
    runtime: str, probe: Probe, transport: Transport, tell: Callable[[str], None]
) -> str:
    """Make the virtual environment of a runtime, unless it is there; return the engine's version.

    An environment that an interrupted call left is made again.

    Args:
        runtime: a key of `ENGINES`.
        probe: what the device is.
        transport: how it is reached.
        tell: receives a sentence before each step that takes long.

    Raises:
        InputError: the device cannot have this runtime; the message says which it can have.
        DeviceFullError: there is not enough space.
        DeviceError: installing failed.
    """
    where = transport.describe()
    if why := refusal(runtime, probe):
        raise InputError(f"{where}: {why}; {describe_alternatives(probe)}")
    folder = environment_folder(runtime)
    if COMPLETE not in transport.sizes(folder):
        _check_space(WHEELS[runtime].megabytes, probe, where)
        transport.remove([folder])
        python = choose_python(probe)
        assert python is not None  # noqa: S101 - `refusal` has checked it
        _Installer(runtime, probe, python, transport, tell).install()
    return _read_version(runtime, transport)


def _check_space(megabytes: int, probe: Probe, where: str) -> None:
    if probe.free_mb < megabytes:
        raise DeviceFullError(
            f"{where} has {probe.free_mb} MB free and about {megabytes} MB are needed: make room"
        )


class _Installer:
    def __init__(
        self,
        runtime: str,
        probe: Probe,
        python: Python,
        transport: Transport,
        tell: Callable[[str], None],
    ) -> None:
        self._runtime, self._probe, self._python = runtime, probe, python
        self._transport, self._tell = transport, tell
        self._folder = environment_folder(runtime)
        self._engine = ENGINES[runtime][1]
        # The device's own pip, if it can install into another environment, saves half of the time.
        self._foreign = python.pip >= MIN_PIP
        self._own = not self._foreign and python.ensurepip

    def install(self) -> None:
        version = format_version(self._python.version)
        self._tell(f"making a virtual environment with Python {version}")
        pip = [] if self._own else ["--without-pip"]
        made = self._run([self._python.path, "-m", "venv", *pip, self._folder])
        if made.code:
            raise DeviceError(f"{self._where}: no virtual environment: {_last_line(made)}")
        self._tell(f"installing {self._engine} and numpy")
        failed = self._install_there() or ""
        if failed:
            self._tell(f"the device cannot install them itself ({failed}); sending the wheels")
            self._install_from_here()
        self._transport.push({f"{self._folder}/{COMPLETE}": b""})

    @property
    def _where(self) -> str:
        return self._transport.describe()

    def _install_there(self) -> str:
        """Install with the device's own pip and package index; return why that failed."""
        if not (self._foreign or self._own):
            return "it has no pip"
        failed = ""
        for version in (engine_version(self._runtime), ""):
            wanted = requirements(self._runtime, version)
            done = self._pip(["--retries", "1", "--timeout", "10", *wanted])
            if not done.code:
                return ""
            failed = _last_line(done)
        return failed

    def _install_from_here(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            download_wheels(self._runtime, self._probe, self._python, Path(folder))
            files = {
                f"{WHEEL_FOLDER}/{path.name}": path.read_bytes() for path in Path(folder).iterdir()
            }
        try:
            self._transport.push(files)
            names = [path for path in files if not path.startswith(f"{WHEEL_FOLDER}/pip-")]
            done = self._pip(["--no-index", *names], bootstrap=[*(files.keys() - set(names))])
            if done.code:
                raise DeviceError(
                    f"{self._where} cannot install {self._engine}: {_last_line(done)}"
                )
        finally:
            self._transport.remove([WHEEL_FOLDER])

    def _pip(self, arguments: Sequence[str], bootstrap: Sequence[str] = ()) -> Completed:
        python = f"{self._folder}/bin/python"
        options = [*_QUIET, *_WHEELS_ONLY, *arguments]
        if self._foreign:
            command = [self._python.path, *_PIP, "--python", python, "install", *options]
        elif self._own:
            command = [python, *_PIP, "install", *options]
        else:
            # A wheel of pip is a zip file that runs as it is.
            command = [python, f"{bootstrap[0]}/pip", "install", *options]
        return self._run(command, INSTALL_TIMEOUT)

    def _run(self, command: Sequence[str], timeout: float = COMMAND_TIMEOUT) -> Completed:
        return self._transport.run(command, timeout=timeout)


def download_wheels(runtime: str, probe: Probe, python: Python, folder: Path) -> None:
    """Fetch the wheels of a runtime for a device's platform, and pip's.

    Raises:
        DeviceError: this machine has no pip, no connection, or there are no such wheels.
    """
    platforms = [word for tag in wheel_platforms(probe) for word in ("--platform", tag)]
    version = ".".join(map(str, python.version[:2]))
    command = [sys.executable, *_PIP, "download", *_QUIET, *_WHEELS_ONLY, *platforms]
    command += ["--implementation", "cp", "--python-version", version, "--dest", str(folder)]
    failed = ""
    for newest in (engine_version(runtime), ""):
        wanted = [*requirements(runtime, newest), "pip>=22.3"]
        done = subprocess.run([*command, *wanted], capture_output=True, check=False)  # noqa: S603
        if not done.returncode:
            return
        failed = _last_line(Completed(done.returncode, done.stdout, done.stderr))
    raise DeviceError(
        f"no wheels of {ENGINES[runtime][1]} for Python {version}, {probe.machine} and "
        f"{probe.libc}: pip says {failed!r}; {describe_alternatives(probe)}"
    )


def _read_version(runtime: str, transport: Transport) -> str:
    """Return the version of the engine on a device, after importing it there."""
    module, engine = WHEELS[runtime].module, ENGINES[runtime][1]
    # Some engines keep an identity of the machine in its home folder unless they are told not to.
    code = (
        "import os; os.environ['ORT_DISABLE_TELEMETRY'] = '1'; import numpy, "
        f"{module}, importlib.metadata as m; print(m.version('{engine}'))"
    )
    python = f"{environment_folder(runtime)}/bin/python"
    done = transport.run([python, "-I", "-c", code], timeout=COMMAND_TIMEOUT)
    if done.code:
        transport.remove([f"{environment_folder(runtime)}/{COMPLETE}"])
        raise DeviceError(
            f"{transport.describe()} cannot import {module}: {_last_line(done)}; the same command "
            "installs it again"
        )
    return done.output.decode("utf-8", "replace").strip()


def _last_line(done: Completed) -> str:
    """Return the line that says what went wrong: the first error, or the last line of all."""
    text = (done.errors or done.output).decode("utf-8", "replace")
    if found := re.search(r"^\s*ERROR: (.*)", text, re.MULTILINE):
        return found[1].strip()[:300]
    return (done.code <= 128 and last_line(text)) or done.explain()

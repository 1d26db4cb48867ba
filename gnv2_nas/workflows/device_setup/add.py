"""`gnv2-nas devices add`: from a URL to a device that was checked and has a profile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec.structs import replace

from gnv2_nas.devices.address import Address, parse_url
from gnv2_nas.devices.device import Device
from gnv2_nas.devices.profile import MAX_THREADS, DeviceProfile, Runner, read_profile
from gnv2_nas.devices.provision.engines import (
    NATIVE_MACHINES,
    NATIVE_RUNTIME,
    PYTHON_RUNTIME,
    WHEELS,
    describe_alternatives,
    refusal,
)
from gnv2_nas.devices.provision.probe import Probe, probe
from gnv2_nas.devices.provision.processor import choose_cores, find_clusters
from gnv2_nas.devices.provision.profile_file import check_new_name, write_profile
from gnv2_nas.devices.transports import open_transport
from gnv2_nas.devices.transports.adb import AdbTransport
from gnv2_nas.errors import DeviceError, InputError, RunError
from gnv2_nas.files.outputs import check_outputs
from gnv2_nas.files.writing import check_writable
from gnv2_nas.measurement.records.record import PROFILES_FOLDER
from gnv2_nas.runtimes.base import Precision, RuntimeName, check_runtime
from gnv2_nas.workflows.device_setup.install import install
from gnv2_nas.workflows.device_setup.state import (
    STATE,
    DeviceState,
    check_networks,
    state_path,
    write_state,
)
from gnv2_nas.workflows.events import Events, Message, ignore, report_task
from gnv2_nas.workflows.tuning.result import Tuning
from gnv2_nas.workflows.tuning.tune import tune_unknown_family

_REMOVE_IF_EMPTY = 'cd / && rmdir "$1" && rmdir "${1%/*}"'
"""Removes the folder that the first command on a device has made."""


class AddDeviceRequest(msgspec.Struct, frozen=True):
    """The options of `gnv2-nas devices add`."""

    name: str
    url: str
    runtime: str = ""
    """A key of `RUNTIMES`; "" takes the usual one of the runner."""
    runner: str = ""
    """"python" or "native"; "" takes Python where the device has what it needs."""
    threads: int = 1
    precision: str = "fp32"
    cores: str = ""
    """Such as "4,5" or "4-7"; "" takes the fastest cluster if the cores differ."""

    def check(self) -> CheckedAddDevice:
        """Check every option without reaching the device.

        Raises:
            InputError: an option is wrong; the message says which.
            OutputError: `profiles/` is not writable.
        """
        check_new_name(self.name)
        address = parse_url(self.url)
        runner = _check_runner(self.runner, self.runtime, address)
        check_runtime(
            self.runtime or (NATIVE_RUNTIME if runner == "native" else PYTHON_RUNTIME),
            cast(Precision, self.precision),
            here=False,
        )
        if self.runtime and self.runtime not in WHEELS:
            raise InputError(
                f"--runtime {self.runtime} cannot be installed on a device, because its bindings "
                f"need torch; use {' or '.join(WHEELS)}"
            )
        if not 1 <= self.threads <= MAX_THREADS:
            raise InputError(f"--threads must be from 1 to {MAX_THREADS}, but got {self.threads}")
        check_writable(PROFILES_FOLDER)
        check_outputs({state_path(self.name): STATE}, option="NAME")
        return CheckedAddDevice(self, address, runner, parse_cores(self.cores))


class CheckedAddDevice(msgspec.Struct, frozen=True):
    """A device that can be set up, as far as can be known from here."""

    request: AddDeviceRequest
    address: Address
    runner: Runner | None
    """None if the device decides."""
    cores: tuple[int, ...]


class DeviceSetup(msgspec.Struct, frozen=True):
    """A device that was set up."""

    name: str
    profile: DeviceProfile
    path: Path
    state: DeviceState
    tuning: Tuning | None = None
    """None on a processor family whose fastest form of files is known."""

    def to_json(self) -> dict[str, Any]:
        """Return the facts for scripts."""
        return {"name": self.name, "file": str(self.path), "profile": self.profile} | (
            self.state.to_json() | {"tuning": self.tuning and self.tuning.to_json()}
        )


def run_add_device(checked: CheckedAddDevice, events: Events = ignore) -> DeviceSetup:
    """Ask a device what it is, install an engine on it, check it, write its profile, and tune it if
    its processor is of a family that nobody has measured.

    An interrupted call leaves what was installed on the device, and no profile; the same call goes
    on from there.

    Raises:
        InputError: the device cannot have the runtime, or has no such core.
        DeviceError: it cannot be reached, is full, or failed.
        MeasurementError: the engine computes something else than torch.
        KeyboardInterrupt: Ctrl-C.
    """
    name = checked.request.name
    address = DeviceProfile(name, **msgspec.structs.asdict(checked.address))
    transport = open_transport(name, address)
    try:
        with report_task(events, f"asking {transport.describe()} what it is"):
            found = probe(transport)
        events(Message(f"{name}: {found.describe()}"))
        if isinstance(transport, AdbTransport):
            # Another phone may be connected tomorrow.
            checked = replace(checked, address=Address("adb", serial=transport.serial))
        profile = _make_profile(checked, found, events)
        with _explain_interruption(transport.folder, events):
            install(profile, found, transport, events)
            transport.close()
            state = check_networks(Device(name, profile), found, events)
    except BaseException:
        with suppress(DeviceError):
            transport.run(["sh", "-c", _REMOVE_IF_EMPTY, "sh", transport.folder], timeout=60.0)
        raise
    finally:
        transport.close()
    path = write_profile(name, profile, found)
    write_state(name, state)
    tuning = tune_unknown_family(name, events)
    return DeviceSetup(name, read_profile(name), path, state, tuning)


def parse_cores(text: str) -> tuple[int, ...]:
    """Read "4,5" or "4-7" or "" as core numbers.

    Raises:
        InputError: it is neither.
    """
    numbers: set[int] = set()
    for part in filter(None, text.replace(" ", "").split(",")):
        found = re.fullmatch(r"([0-9]{1,4})(?:-([0-9]{1,4}))?", part)
        if not found:
            raise InputError(f"--cores takes core numbers such as 4,5 or 4-7, but got {text!r}")
        numbers.update(range(int(found[1]), int(found[2] or found[1]) + 1))
    return tuple(sorted(numbers))


def _check_runner(runner: str, runtime: str, address: Address) -> Runner | None:
    if runner not in {"", "python", "native"}:
        raise InputError(f"--runner is python or native, but got {runner!r}")
    native = runner == "native" or (address.transport == "adb" and runner != "python")
    if native and runtime not in {"", NATIVE_RUNTIME}:
        why = "--runner native has" if runner else "adb devices run the native runner, which has"
        raise InputError(f"{why} the engine {NATIVE_RUNTIME}; leave out --runtime {runtime}")
    if native:
        return "native"
    return "python" if runner or runtime else None


def _make_profile(checked: CheckedAddDevice, found: Probe, events: Events) -> DeviceProfile:
    request = checked.request
    runner, runtime = _choose_engine(checked, found, events)
    cores = checked.cores or choose_cores(found.cores, request.threads)
    if unknown := set(checked.cores) - {core.number for core in found.cores if core.allowed}:
        allowed = ", ".join(str(core.number) for core in found.cores if core.allowed)
        shown = ", ".join(map(str, sorted(unknown)))
        raise InputError(f"{request.name} has no core {shown}; it has {allowed}")
    if cores and not checked.cores:
        shown = ", ".join(map(str, cores))
        events(
            Message(
                f"its cores differ in speed: {find_clusters(found.cores)[0].describe()} are the "
                f"fastest, so networks are measured on cores {shown}; choose others with --cores"
            )
        )
    return DeviceProfile(
        description=found.describe(),
        runner=runner,
        runtime=runtime,
        threads=request.threads,
        precision=cast(Precision, request.precision),
        cores=cores,
        **msgspec.structs.asdict(checked.address),
    )


def _choose_engine(
    checked: CheckedAddDevice, found: Probe, events: Events
) -> tuple[Runner, RuntimeName]:
    asked = cast(RuntimeName, checked.request.runtime)
    why = "" if checked.runner else refusal(PYTHON_RUNTIME, found)
    if why and found.machine in NATIVE_MACHINES:
        events(Message(f"{why}, so the native runner with {NATIVE_RUNTIME} measures there"))
        return "native", NATIVE_RUNTIME
    if checked.runner == "native":
        if found.machine not in NATIVE_MACHINES:
            raise InputError(
                f"the native runner is for {', '.join(NATIVE_MACHINES)}, and "
                f"{checked.request.name} runs programs for {found.machine}; "
                f"{describe_alternatives(found)}"
            )
        return "native", NATIVE_RUNTIME
    return "python", asked or PYTHON_RUNTIME


@contextmanager
def _explain_interruption(folder: str, events: Events) -> Iterator[None]:
    try:
        yield
    except (RunError, KeyboardInterrupt):
        events(
            Message(f"what was installed stays in {folder} there; the same command goes on from it")
        )
        raise

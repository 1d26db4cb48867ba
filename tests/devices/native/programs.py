"""The native runner, built once in the user's cache, as a device without a network."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from gnv2_nas.devices.native.build import build
from gnv2_nas.devices.native.compiling import Target
from gnv2_nas.devices.profile import DeviceProfile
from gnv2_nas.devices.remote_host import RemoteHost
from gnv2_nas.devices.runner_program import RunnerProgram, runner_arguments
from gnv2_nas.devices.transports.local import LocalTransport

MACHINES: dict[Target, Sequence[str]] = {
    "x86_64": (),
    "aarch64": ("qemu-aarch64-static", "-cpu", "cortex-a76"),
    "armv7": ("qemu-arm-static", "-cpu", "cortex-a7"),
}
"""Target → the command that emulates the machine. A Cortex-A76, that of a Raspberry Pi 5, has fp16
arithmetic; a Cortex-A7 is that of a Raspberry Pi 2."""


@contextmanager
def open_device(target: Target, folder: Path, **fields: Any) -> Iterator[RemoteHost]:
    """A device with the native runner; `fields` are those of its profile."""
    built = build(target, print)
    profile = DeviceProfile("A board.", runtime="ncnn", runner="native", **fields)
    command = (*MACHINES[target], f"./{built.name}", *runner_arguments(profile))
    program = RunnerProgram(built.name, built.read_bytes(), command, reads_image=True)
    with closing(RemoteHost("board", "ncnn", program, LocalTransport("board", folder))) as host:
        yield host


@contextmanager
def start(target: Target, *options: str, **how: Any) -> Iterator[subprocess.Popen[str]]:
    """The runner's process; it is killed at the end of the block."""
    with subprocess.Popen(
        [*MACHINES[target], str(build(target, print)), "ncnn", *options], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **how,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()

"""ncnn of the native runner against ncnn's wheel in the Python runner, both on this processor."""

from __future__ import annotations

import platform
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.table import Table

from benchmarks.table import table
from gnv2_nas.arch import preset
from gnv2_nas.devices import Device, DeviceProfile
from gnv2_nas.devices.native.build import build, target_of
from gnv2_nas.devices.remote_host import RemoteHost
from gnv2_nas.devices.runner_program import environment_folder, native_runner, python_runner
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.measurement import measure
from gnv2_nas.measurement.records.record import Measurement, compare, pool
from gnv2_nas.space import load_space

STOCK = ("ghostnetv2-1.0", "ghostnet-1.0", "ghostnetv2-1.3", "mobilenetv3-large-1.0")
RANDOM = 3
REPEATS = 2
SECONDS = 4.0
"""For each network and repetition."""


def run() -> Table:
    build(target_of(platform.machine()), lambda line: print(line, file=sys.stderr))
    space, rng = load_space("ghostnetv2"), random.Random(0)
    networks = {name: preset(name) for name in STOCK}
    networks |= {f"random {number}": space.sample(rng) for number in range(RANDOM)}
    found: dict[str, list[Measurement]] = {}
    with ExitStack() as stack:
        devices = {name: stack.enter_context(_device(name)) for name in ("python", "native")}
        for repeat in range(REPEATS):
            for name, device in devices.items():
                measured = measure(
                    list(networks.values()), device, seconds_per_network=SECONDS, seed=repeat
                )
                earlier = found.get(name)
                pooled = zip(earlier, measured, strict=True) if earlier else ()
                found[name] = [pool(*pair) for pair in pooled] or measured
    rows = []
    for name, wheel, native in zip(networks, found["python"], found["native"], strict=True):
        comparison = compare(native, wheel)
        low, high = comparison.ci95
        rows.append(
            (name, f"{wheel.ms:.2f}", f"{native.ms:.2f}", f"{native.ms / wheel.ms:.3f}",
             f"{comparison.ratio:.3f}", f"{low:.3f}–{high:.3f}", comparison.verdict)
        )  # fmt: skip
    headings = ("", "wheel, ms", "native, ms", "native/wheel", "of ratios", "95 %", "verdict")
    return table("The native runner against ncnn's wheel, one thread, fp32", headings, rows)


@contextmanager
def _device(runner: str) -> Iterator[Device]:
    profile = DeviceProfile("this processor", runtime="ncnn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = folder / environment_folder("ncnn") / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        transport = LocalTransport("here", folder)
        program = (
            native_runner(profile, transport) if runner == "native" else python_runner(profile)
        )
        device = Device("here", profile)
        device.host = host = RemoteHost("here", device.runtime.label, program, transport)
        try:
            yield device
        finally:
            host.close()

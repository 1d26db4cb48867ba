"""Measuring over ssh on loopback: the same latencies as in this process, repeated as well, and the
share of a search's wall time that is inference on the device.

The server is the one of the tests. The device has a temporary folder of its own, and so a lock of
its own: like two machines, this process and the device do not wait for each other.
"""

from __future__ import annotations

import contextlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace
from rich.console import Group
from rich.table import Table

from benchmarks.table import table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.devices import Device
from gnv2_nas.measurement import Measurement, batch, open_device
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.measurement.plan import MeasurementOptions, Timings
from gnv2_nas.measurement.protocol import measure_networks
from gnv2_nas.measurement.records.record import compare
from gnv2_nas.space import load_space
from gnv2_nas.stats.rank_agreement import kendall_tau
from gnv2_nas.workflows.device_setup.add import AddDeviceRequest, run_add_device
from gnv2_nas.workflows.search_request import SearchRequest
from gnv2_nas.workflows.search_session import SearchSession
from tests.devices.ssh_server import SshServer

NAME = "board"
PRESETS = ("ghostnet-1.0", "ghostnetv2-1.0", "mobilenetv3-large-1.0")
NETWORKS = 20
LONG = MeasurementOptions(precision=0.001, seconds_per_network=15.0, sessions=4)
"""Long enough that the noise of two batches is smaller than the margin of SAME."""
ONCE = MeasurementOptions(precision=0.001, seconds_per_network=1.25)
"""Never precise enough: the whole time is used."""
TRIALS = 100


def run() -> Group:
    with tempfile.TemporaryDirectory(prefix="ssh-") as folder, contextlib.chdir(folder):
        server = SshServer(Path(folder))
        try:
            with _on_path(server):
                started = time.monotonic()
                run_add_device(AddDeviceRequest(NAME, "ssh://board").check())
                adding = time.monotonic() - started
                devices = [open_device(name) for name in ("cpu", NAME)]
                for device in devices:
                    ensure_calibrated(device)
                tables = _compared(*devices), _repeated(devices), _searched(adding)
                for device in devices:
                    device.host.close()
        finally:
            server.stop()
    return Group(*tables)


@contextlib.contextmanager
def _on_path(server: SshServer) -> Iterator[None]:
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{server.programs}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _compared(local: Device, remote: Device) -> Table:
    networks = [preset(name) for name in PRESETS]
    # One machine has one calibration: its error is the same in both.
    remote.calibration, own = local.calibration, remote.calibration
    here, there = (measure_networks(networks, each, LONG) for each in (local, remote))
    remote.calibration = own
    rows = []
    for name, one, other in zip(PRESETS, here, there, strict=True):
        # The devices are one machine: only their names differ.
        found = compare(_renamed(other, one.device), one)
        low, high = found.ci95
        rows.append(
            (name, f"{one.ms:.2f}", f"{other.ms:.2f}", f"{found.ratio:.3f}",
             f"{low:.3f}–{high:.3f}", found.verdict)
        )  # fmt: skip
    columns = ("", "this process, ms", "over ssh, ms", "ssh ÷ here", "95 %", "verdict")
    return table("The same networks in this process and over ssh", columns, rows)


def _renamed(measurement: Measurement, device: str) -> Measurement:
    return replace(measurement, device=device)


def _repeated(devices: Sequence[Device]) -> Table:
    space, rng = load_space("ghostnetv2"), random.Random(0)
    networks = [space.sample(rng) for _ in range(NETWORKS)]
    rows = []
    for label, device in zip(("in this process", "over ssh"), devices, strict=True):
        first, second = (_ratios(networks, device, seed) for seed in (1, 2))
        apart = [abs(b / a - 1) for a, b in zip(first, second, strict=True)]
        rows.append(
            (label, f"{statistics.median(apart):.2%}", f"{max(apart):.2%}",
             f"{kendall_tau(first, second):.3f}")
        )  # fmt: skip
    title = f"{NETWORKS} random networks measured twice, in the same process or runner"
    return table(title, ("", "median difference", "largest", "Kendall τ"), rows)


def _ratios(networks: Sequence[Architecture], device: Device, seed: int) -> list[float]:
    return [each.ratio for each in measure_networks(networks, device, ONCE, seed=seed)]


def _searched(adding: float) -> Table:
    spent = _Inference()
    request = SearchRequest(
        device=NAME, trials=TRIALS, budgets=("300MFLOPs", "20ms"), reuse=False
    ).check()
    session = SearchSession(request)
    with contextlib.closing(session):
        ensure_calibrated(session.evaluator.device)
        started = time.perf_counter()
        with spent:
            session.loop().run()
        wall = time.perf_counter() - started
    rows = [
        ("devices add, the wheel in pip's cache (promised: at most 2 min)", f"{adding:.0f} s", ""),
        (f"search of {TRIALS} trials", f"{wall:.0f} s", ""),
        ("inference on the device (promised: 70 % and more)",
         f"{spent.seconds:.0f} s", f"{spent.seconds / wall:.0%}"),
    ]  # fmt: skip
    return table("Over ssh", ("", "wall time", "share"), rows)


class _Inference:
    """Adds up the timed calls of all sessions: what the device was there for."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._collect = batch.collect

    def __enter__(self) -> None:
        batch.collect = self._counted  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        batch.collect = self._collect

    def _counted(self, *args: object, **options: object) -> Timings:
        timings: Timings = self._collect(*args, **options)  # type: ignore[arg-type]
        self.seconds += float(timings.wall.sum() + timings.first_wall.sum())
        return timings

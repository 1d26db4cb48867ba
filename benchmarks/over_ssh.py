"""Measuring over ssh on loopback: the same latencies as in this process, repeated as well, and what
the device and this machine do during a search.

The server is the one of the tests. The device has a temporary folder of its own, and so a lock of
its own: like two machines, this process and the device do not wait for each other.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from rich.console import Group
from rich.table import Table

from benchmarks.stopwatch import Stopwatch
from benchmarks.table import table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.devices import Device
from gnv2_nas.measurement import Measurement, batch, open_device, plan
from gnv2_nas.measurement.calibration import ensure_calibrated
from gnv2_nas.measurement.plan import MeasurementOptions, Timings
from gnv2_nas.measurement.protocol import measure_networks
from gnv2_nas.measurement.records.record import compare, decide
from gnv2_nas.search import lane
from gnv2_nas.search.evaluate import Evaluator
from gnv2_nas.search.proposals import Proposals
from gnv2_nas.search.storage.store import Store
from gnv2_nas.space import load_space
from gnv2_nas.stats.intervals import student_95
from gnv2_nas.stats.rank_agreement import kendall_tau
from gnv2_nas.workflows.device_setup.add import AddDeviceRequest, run_add_device
from gnv2_nas.workflows.search.request import SearchRequest
from gnv2_nas.workflows.search.session import SearchSession
from tests.devices.ssh_server import SshServer

NAME = "board"
PRESETS = ("ghostnet-1.0", "ghostnetv2-1.0", "mobilenetv3-large-1.0")
PAIRS = 8
"""Batches in this process, and as many over ssh, in turn: two batches share no rounds, so one pair
tells little."""
PAIRED = MeasurementOptions(precision=0.001, seconds_per_network=2.0)
NETWORKS = 20
ONCE = MeasurementOptions(precision=0.001, seconds_per_network=1.25)
"""Never precise enough, as `PAIRED`: the whole time is used."""
TRIALS = 100
LOADING = "loading the first session"
DECIDING = "statistics that decide whether to go on"
ON_DEVICE = {
    LOADING: (batch.Batch, "load"),
    DECIDING: (batch.Batch, "_is_precise"),
    "sessions": (batch, "time_networks"),
}
HERE = {
    "proposing": (Proposals, "ask"),
    "scoring": (Evaluator, "scores"),
    "writing and sending files": (batch.Batch, "write"),
    "telling the sampler": (Proposals, "tell"),
    "storing": (Store, "append"),
    "keeping raw samples": (lane, "append_measurements"),
}
PARTS = ON_DEVICE | HERE


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
    networks, rng = [preset(name) for name in PRESETS], random.Random(0)
    # One machine has one calibration: its error is the same in both.
    remote.calibration, own = local.calibration, remote.calibration
    pairs = []
    for seed in range(PAIRS):
        found = {
            device.name: measure_networks(networks, device, PAIRED, seed=seed)
            for device in rng.sample((local, remote), 2)
        }
        pairs.append((found[local.name], found[remote.name]))
    remote.calibration = own
    rows = [_row(name, [(h[n], t[n]) for h, t in pairs]) for n, name in enumerate(PRESETS)]
    title = f"The same networks in this process and over ssh, {PAIRS} pairs of batches"
    columns = ("", "this process, ms", "over ssh, ms", "ssh ÷ here", "95 %", "margin", "verdict")
    return table(title, columns, rows)


def _row(name: str, pairs: Sequence[tuple[Measurement, Measurement]]) -> tuple[str, ...]:
    """The mean ratio of pairs with its t-interval, by the rule of `compare`."""
    # The devices are one machine: only their names differ.
    found = [compare(replace(there, device=here.device), here) for here, there in pairs]
    logs = [math.log(each.ratio) for each in found]
    apart, margin = statistics.mean(logs), statistics.mean(each.margin for each in found)
    noise = student_95(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    ms = [f"{statistics.mean(pair[side].ms for pair in pairs):.2f}" for side in (0, 1)]
    low, high = math.exp(apart - noise), math.exp(apart + noise)
    return (
        name, *ms, f"{math.exp(apart):.4f}", f"{low:.4f}–{high:.4f}", f"±{margin:.1%}",
        decide(apart, noise, margin),
    )  # fmt: skip


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


def _searched(adding: float, trials: int = TRIALS) -> Table:
    request = SearchRequest(
        devices=(NAME,), trials=trials, budgets=("300MFLOPs", "20ms"), reuse=False
    ).check()
    session = SearchSession(request)
    with contextlib.closing(session):
        ensure_calibrated(session.lanes[0].device)
        started = time.perf_counter()
        with _inference() as calls, Stopwatch(PARTS) as spent:
            session.loop().run()
        wall = time.perf_counter() - started
    timed, warming, checking = (sum(kind) for kind in zip(*calls, strict=True))
    lanes = {f"meanwhile here: {name}": spent.pop(name) for name in HERE}
    sessions = spent.pop("sessions")
    spent[LOADING] -= checking
    spent["loading later sessions, conditions"] = sessions - timed - warming - spent[DECIDING]
    spent = {
        "inference that is timed": timed,
        "inference that warms up, or whose logits are checked": warming + checking,
        **spent,
    }
    spent["waiting for work"] = wall - sum(spent.values())
    lanes = {
        "inference on the device (promised: 70 % and more)": timed + warming + checking,
        **{f"the device: {name}": seconds for name, seconds in spent.items()},
        **lanes,
    }
    rows = [(name, f"{seconds:.1f} s", f"{seconds / wall:.1%}") for name, seconds in lanes.items()]
    title = (
        f"A search of {trials} trials over ssh, {wall:.0f} s. Before, devices add took "
        f"{adding:.0f} s with the wheel in pip's cache (promised: at most 2 min)"
    )
    return table(title, ("", "wall time", "share"), rows)


@contextlib.contextmanager
def _inference() -> Iterator[list[tuple[float, float, float]]]:
    """Collect seconds of calls for each batch: those that are timed, those that warm each session
    up, and those whose logits are checked. The last two take about as long as the first of a visit.
    """
    seconds: list[tuple[float, float, float]] = []
    collect = plan.collect

    def counted(*args: Any, **options: Any) -> Timings:
        timings = collect(*args, **options)
        once = float(timings.first_wall.mean(axis=1).sum())
        timed = float(timings.wall.sum() + timings.first_wall.sum())
        seconds.append((timed, timings.sessions * once, once))
        return timings

    plan.collect = counted
    try:
        yield seconds
    finally:
        plan.collect = collect

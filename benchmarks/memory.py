"""Peak memory as it is measured: does it repeat, and does arithmetic rank networks alike?"""

from __future__ import annotations

import random
import statistics
import time

import msgspec
from rich.table import Table

from benchmarks.networks import random_networks
from benchmarks.table import table
from gnv2_nas.devices import Device, DeviceProfile
from gnv2_nas.graph import count
from gnv2_nas.measurement.peak_memory import measure_peak_memory
from gnv2_nas.runtimes.base import RuntimeName
from gnv2_nas.stats.rank_agreement import kendall_tau

NETWORKS = 20
RUNTIMES: tuple[RuntimeName, ...] = ("onnxruntime", "litert", "ncnn", "openvino", "executorch")


def run() -> Table:
    networks = random_networks("ghostnetv2", NETWORKS, seed=14)
    counts = [count(arch) for arch in networks]
    arithmetic = [each.memory_bytes for each in counts]
    rows = []
    for name in RUNTIMES:
        device = Device(name, msgspec.structs.replace(DeviceProfile(name), runtime=name))
        files = [float(sum(map(len, device.runtime.write(arch).values()))) for arch in networks]
        first = measure_peak_memory(networks, device)
        again = random.Random(0).sample(range(NETWORKS), NETWORKS)
        started = time.perf_counter()
        found = dict(
            zip(again, measure_peak_memory([networks[n] for n in again], device), strict=True)
        )
        seconds = (time.perf_counter() - started) / NETWORKS
        differences = [abs(found[n] / peak - 1) for n, peak in enumerate(first)]
        ratios = [peak / known for peak, known in zip(first, arithmetic, strict=True)]
        rows.append(
            (
                name, f"{min(first) / 1e6:.1f}–{max(first) / 1e6:.1f}",
                f"{statistics.median(differences):.2%}", f"{max(differences):.2%}",
                f"{min(ratios):.2f}–{max(ratios):.2f}", f"{kendall_tau(first, arithmetic):.2f}",
                f"{kendall_tau(first, files):.2f}", f"{seconds:.2f}",
            )
        )  # fmt: skip
    title = (
        f"Peak memory of {NETWORKS} random networks of ghostnetv2, measured twice in other orders; "
        f"computed memory is {min(arithmetic) / 1e6:.1f}–{max(arithmetic) / 1e6:.1f} MB"
    )
    columns = (
        "runtime", "MB", "median difference", "largest", "÷ computed", "τ to computed",
        "τ to file size", "s a network, writing included",
    )  # fmt: skip
    return table(title, columns, rows)

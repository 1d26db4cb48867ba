"""Our ExecuTorch programs against those of ExecuTorch's own export: to write, to load, to run."""

from __future__ import annotations

import contextlib
import io
import random
import statistics
import time
import warnings
from functools import partial

import torch
from rich.table import Table

from benchmarks.paired import loader, paired
from benchmarks.public_form import STOCK
from benchmarks.table import median_seconds, milliseconds, table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.nn import timing_model
from gnv2_nas.runtimes.executorch_runtime import ExecuTorch
from gnv2_nas.runtimes.parity import check_parity
from gnv2_nas.space import load_space

PROFILED_RUNS = 30
NEW_SESSIONS = 4


def run() -> Table:
    runtime = ExecuTorch()
    rng = random.Random(5)
    networks = [load_space("ghostnetv2").sample(rng) for _ in range(10)]
    writing = [median_seconds(partial(runtime.write, arch), 3) for arch in networks]
    files = runtime.write(STOCK)
    loading = median_seconds(lambda: runtime.load(files, 1), 5)
    rows = [
        ("write, median of 10 random networks", milliseconds(statistics.median(writing)), "", ""),
        ("load, GhostNetV2 1.0", milliseconds(loading), "", ""),
        ("layers together ÷ a call", f"{_layers_of_a_call(runtime):.3f}", "", ""),
    ]
    for name in ("ghostnet-1.0", "ghostnetv2-1.0"):
        arch = preset(name)
        apart = check_parity(arch, runtime.load(runtime.write(arch), 1), runtime)
        rows.append((f"{name}: largest difference to torch", f"{apart:.1e}", "", ""))
    started = time.perf_counter()
    exported = _exported(STOCK)
    rows.append(("GhostNetV2 1.0: exporting", milliseconds(time.perf_counter() - started), "", ""))
    files = {"exported": exported, "exported once more (A/A)": exported, "ours": files[".pte"]}
    found = paired({name: loader(runtime, {".pte": file}) for name, file in files.items()})
    for name, row in found.items():
        interval = f"{row.low:.3f}–{row.high:.3f}"
        rows.append((f"GhostNetV2 1.0: {name}", f"{row.ms:.2f} ms", f"{row.ratio:.3f}", interval))
    title = "ExecuTorch with XNNPACK, CPU time"
    return table(title, ("", "", "÷ exported", "95 %"), rows)


def _layers_of_a_call(runtime: ExecuTorch) -> float:
    """Sum of the layers over a call of another session, alternately taken: median of ratios."""
    files = runtime.write(STOCK)
    session, ratios = runtime.load(files, 1), []
    session.run()
    for _ in range(NEW_SESSIONS):
        calls = [runtime.timer(session.run)[0] for _ in range(PROFILED_RUNS)]
        layers = sum(runtime.layer_seconds(files, 1, PROFILED_RUNS).values())
        ratios.append(layers / statistics.mean(calls))
    return statistics.median(ratios)


def _exported(arch: Architecture) -> bytes:
    """The torch module through `torch.export` and the XNNPACK partitioner, as documented."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        image = torch.zeros(1, 3, arch.resolution, arch.resolution)
        program = torch.export.export(timing_model(arch), (image,))
        lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
        content: bytes = lowered.to_executorch().buffer
    return content

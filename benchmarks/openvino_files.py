"""Our ONNX files in OpenVINO against OpenVINO's own conversion: to write, to load, to run."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import openvino as ov
import torch
from rich.table import Table

from benchmarks.paired import paired
from benchmarks.public_form import STOCK
from benchmarks.table import median_seconds, milliseconds, table
from gnv2_nas.arch import Architecture
from gnv2_nas.nn import timing_model
from gnv2_nas.runner.timing import timing_image
from gnv2_nas.runtimes.openvino_runtime import OpenVino
from gnv2_nas.space import load_space

PROFILED_RUNS = 30
NEW_SESSIONS = 4
SESSIONS, ROUNDS = 10, 10
OPTIONS = {
    "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": 1,
    "INFERENCE_PRECISION_HINT": "f32",
}  # fmt: skip

Row = tuple[str, str, str, str]


def run() -> Table:
    runtime = OpenVino()
    rng = random.Random(5)
    networks = [load_space("ghostnetv2").sample(rng) for _ in range(10)]
    writing = [median_seconds(partial(runtime.write, arch), 3) for arch in networks]
    files = runtime.write(STOCK)
    loading = median_seconds(lambda: runtime.load(files, 1), 5)
    rows: list[Row] = [
        ("write, median of 10 random networks", milliseconds(statistics.median(writing)), "", ""),
        ("load, GhostNetV2 1.0", milliseconds(loading), "", ""),
        ("layers together ÷ a call", f"{_layers_of_a_call(runtime):.3f}", "", ""),
    ]
    for name, arch in (("GhostNetV2 1.0", STOCK), ("random 1", networks[0]), ("2", networks[1])):
        rows += _against_conversion(name, runtime, arch)
    title = "OpenVINO, CPU time (promised: written in 300 ms, at most 1.0 of its own conversion)"
    return table(title, ("", "", "÷ converted", "95 %"), rows)


def _layers_of_a_call(runtime: OpenVino) -> float:
    """Sum of the layers over a call of another session, alternately taken: median of ratios."""
    files = runtime.write(STOCK)
    session, ratios = runtime.load(files, 1), []
    session.run()
    for _ in range(NEW_SESSIONS):
        calls = [runtime.timer(session.run)[0] for _ in range(PROFILED_RUNS)]
        layers = sum(runtime.layer_seconds(files, 1, PROFILED_RUNS).values())
        ratios.append(layers / statistics.mean(calls))
    return statistics.median(ratios)


def _against_conversion(name: str, runtime: OpenVino, arch: Architecture) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "converted.xml"
        seconds = _convert(arch, converted)
        files = runtime.write(arch)
        loaders = {
            "converted": lambda: _loaded(converted, arch.resolution),
            "converted once more (A/A)": lambda: _loaded(converted, arch.resolution),
            "ours": lambda: runtime.load(files, 1).run,
        }
        found = paired(loaders, sessions=SESSIONS, rounds=ROUNDS)
    yield f"{name}: converting", milliseconds(seconds), "", ""
    for kind, row in found.items():
        interval = f"{row.low:.3f}–{row.high:.3f}"
        yield f"{name}: {kind}", f"{row.ms:.2f} ms", f"{row.ratio:.3f}", interval


def _convert(arch: Architecture, path: Path) -> float:
    """`openvino.convert_model` of the torch module, float32; returns the seconds it took."""
    shape = (1, 3, arch.resolution, arch.resolution)
    module = timing_model(arch)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ov.convert_model(module, example_input=torch.zeros(shape), input=list(shape))
    ov.save_model(model, path, compress_to_fp16=False)
    return time.perf_counter() - started


def _loaded(path: Path, resolution: int) -> Callable[[], object]:
    """The converted file with the options that ours is loaded with."""
    compiled = ov.Core().compile_model(str(path), "CPU", OPTIONS)
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(timing_image(resolution)))
    return request.infer

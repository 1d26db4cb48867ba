"""Our ncnn files against those of its converter, pnnx: to make, to load, to run, paired."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from rich.table import Table

from benchmarks.networks import compared_networks, random_networks
from benchmarks.paired import loader, paired
from benchmarks.public_form import STOCK, public_model
from benchmarks.table import median_seconds, milliseconds, table
from gnv2_nas.arch import Architecture
from gnv2_nas.nn import Network, timing_model
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.base import Precision
from gnv2_nas.runtimes.ncnn_runtime import Ncnn
from gnv2_nas.runtimes.parity import difference, expected_logits

Row = tuple[str, str, str, str, str]


def run() -> Table:
    rows: list[Row] = [
        ("writing, median of 10 random networks", milliseconds(_writing()), "", "", ""),
        _layers(),
        *_precisions(),
    ]
    for name, arch in compared_networks().items():
        rows += _against_pnnx(name, arch)
    columns = ("", "ours", "pnnx", "ours ÷ theirs", "95 %")
    return table("ncnn files (promised: 300 ms to write, at most 1.0)", columns, rows)


def _writing() -> float:
    networks = random_networks("ghostnetv2", 5, 0) + random_networks("mobile", 5, 0)
    write = Ncnn().write
    return statistics.median(median_seconds(partial(write, arch), 3) for arch in networks)


def _layers() -> Row:
    """Layer times added up against whole calls just before and after."""
    runtime = Ncnn()
    files = runtime.write(STOCK)
    run_once = runtime.load(files, 1).run
    ratios = []
    for _ in range(15):
        before = median_seconds(run_once, 9)
        layers = sum(runtime.layer_seconds(files, 1, 9).values())
        ratios.append(layers / statistics.mean([before, median_seconds(run_once, 9)]))
    return (
        "layer times of GhostNetV2 1.0 ÷ a call",
        f"{statistics.median(ratios):.2f}",
        "",
        "",
        "",
    )


def _precisions() -> Iterator[Row]:
    """Stock V2 at half precision against fp32."""
    runtimes: dict[Precision, Ncnn] = {name: Ncnn(name) for name in ("fp32", "fp16", "bf16")}
    files = runtimes["fp32"].write(STOCK)
    found = paired({name: loader(it, files) for name, it in runtimes.items()})
    for name in ("fp16", "bf16"):
        row = found[name]
        label = f"GhostNetV2 1.0 at {name} ÷ fp32"
        yield (label, f"{row.ratio:.3f}", "", "", f"{row.low:.3f}–{row.high:.3f}")


def _against_pnnx(name: str, arch: Architecture) -> Iterator[Row]:
    runtime = Ncnn()
    ours = runtime.write(arch)
    started = time.perf_counter()
    theirs = _converted(arch)
    seconds = time.perf_counter() - started
    writing = median_seconds(lambda: runtime.write(arch), 3)
    yield (f"{name}: writing", milliseconds(writing), milliseconds(seconds), "", "")
    loading, their_loading = (
        milliseconds(median_seconds(partial(runtime.load, files, 1), 5)) for files in (ours, theirs)
    )
    yield (f"{name}: loading", loading, their_loading, "", "")
    files = {"": theirs, "ours": ours}
    loaders = {key: loader(runtime, file) for key, file in files.items()}
    found = paired(loaders, sessions=5)
    our, their = found["ours"], found[""]
    interval = f"{our.low:.3f}–{our.high:.3f}"
    yield (
        f"{name}: a call",
        f"{our.ms:.2f} ms",
        f"{their.ms:.2f} ms",
        f"{our.ratio:.3f}",
        interval,
    )
    expected = expected_logits(arch)
    apart, their_apart = (
        f"{difference(runtime.load(files, 1).logits(), expected):.1g}" for files in (ours, theirs)
    )
    yield (f"{name}: difference from torch", apart, their_apart, "", "")


def _converted(arch: Architecture) -> RuntimeFiles:
    """What pnnx makes of the traced module, with the weights made for timing."""
    shape = (1, 3, arch.resolution, arch.resolution)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(_module(arch), torch.zeros(shape)).save(f"{folder}/network.pt")  # type: ignore[no-untyped-call]
        code = "import pnnx; pnnx.pnnx()"
        options = [f"inputshape={list(shape)}".replace(" ", ""), "fp16=0"]
        subprocess.run(
            [sys.executable, "-c", code, "network.pt", *options],
            cwd=folder, capture_output=True, check=False,
        )  # fmt: skip
        param = Path(folder, "network.ncnn.param").read_text()
        weights = Path(folder, "network.ncnn.bin").read_bytes()
    return {".param": _renamed(param, arch.resolution).encode(), ".bin": weights}


def _module(arch: Architecture) -> Network:
    """The module to trace: stock V2 as the public code has it, others as they are."""
    model = timing_model(arch)
    if arch != STOCK:
        return model
    public = public_model(arch)
    public.load_state_dict(model.state_dict())
    return public


def _renamed(param: str, side: int) -> str:
    """With our names of input and output, and the size of the input."""
    names = {"in0": "input", "out0": "logits"}
    lines = [" ".join(names.get(word, word) for word in line.split()) for line in param.split("\n")]
    sized = f" 0={side} 1={side} 2=3"
    return "\n".join(line + sized if line.startswith("Input") else line for line in lines)

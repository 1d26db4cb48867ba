"""How fast the written file runs: against the same network exported by tracing, paired."""

from __future__ import annotations

import warnings

from rich.table import Table

from benchmarks.paired import loader, paired
from benchmarks.public_form import STOCK, exported, public_model
from benchmarks.table import table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.graph.passes.form import FileForm
from gnv2_nas.runtimes.onnx_runtime import OnnxRuntime
from gnv2_nas.space import load_space


def _rounded(divisor: int) -> Architecture:
    """Stock V2 1.0 with channels rounded to multiples of `divisor`."""
    space = load_space("ghostnetv2")
    return space.decode((space.encode(STOCK) or {}) | {"divisor": divisor})


def run() -> Table:
    runtime = OnnxRuntime()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = exported(public_model(STOCK), dynamo=False)
    file_sets = {
        "public module, exported by tracing": traced,
        "the same file once more (A/A)": traced,
        "onnx_bytes, graph as lowered": onnx_bytes(STOCK, form=FileForm(1, fuse_up_to=0)),
        "onnx_bytes, channels padded only": onnx_bytes(STOCK, form=FileForm(fuse_up_to=0)),
        "onnx_bytes": onnx_bytes(STOCK),
        "channels in multiples of 16, onnx_bytes": onnx_bytes(_rounded(16)),
        "GhostNet 1.0, onnx_bytes": onnx_bytes(preset("ghostnet-1.0")),
        "MobileNetV3-Large 1.0, onnx_bytes": onnx_bytes(preset("mobilenetv3-large-1.0")),
    }
    found = paired({name: loader(runtime, {".onnx": file}) for name, file in file_sets.items()})
    rows = [
        (name, f"{row.ms:.2f}", f"{row.ratio:.3f}", f"{row.low:.3f}–{row.high:.3f}")
        for name, row in found.items()
    ]
    title = "GhostNetV2 1.0 in ONNX Runtime, CPU time (promised: at most 0.90)"
    return table(title, ("", "ms", "÷ traced", "95 %"), rows)

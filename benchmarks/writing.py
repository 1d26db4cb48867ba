"""Getting the file a runtime loads: our writer against torch's exporters."""

from __future__ import annotations

import time
import warnings

from rich.table import Table

from benchmarks.public_form import STOCK, exported, public_model
from benchmarks.table import median_seconds, milliseconds, table
from gnv2_nas.formats.onnx.writer import onnx_bytes
from gnv2_nas.nn import build_model
from gnv2_nas.runtimes.onnx_runtime import OnnxRuntime


def run() -> Table:
    runtime = OnnxRuntime()
    model = build_model(STOCK).eval()
    content = onnx_bytes(STOCK)
    files = {".onnx": content}
    ours = median_seconds(lambda: onnx_bytes(STOCK), 15)
    rows = [
        ("onnx_bytes, weights made for timing", ours),
        ("onnx_bytes, trained weights", median_seconds(lambda: onnx_bytes(STOCK, model), 7)),
        ("copying that many bytes (the floor)", median_seconds(lambda: bytearray(content), 15)),
        ("torch.onnx.export, tracing", _once(dynamo=False)),
        ("torch.onnx.export, dynamo", _once(dynamo=True)),
        (
            "loading into ONNX Runtime",
            median_seconds(lambda: runtime.load(files, 1), 7),
        ),
        ("build_model", median_seconds(lambda: build_model(STOCK), 7)),
    ]
    cells = [(name, milliseconds(seconds), f"{seconds / ours:.2g}") for name, seconds in rows]
    return table(
        "Writing stock GhostNetV2 1.0 as ONNX (promised: 60 ms)",
        ("", "median", "÷ onnx_bytes"),
        cells,
    )


def _once(*, dynamo: bool) -> float:
    model = public_model(STOCK)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported(model, dynamo=dynamo)
    return time.perf_counter() - start

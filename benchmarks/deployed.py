"""How fast the written file runs: against the same network exported by tracing, paired."""

from __future__ import annotations

import random
import warnings

from rich.table import Table

from benchmarks.public_form import STOCK, exported, public_model
from benchmarks.table import table
from gnv2_nas.arch import Architecture, preset
from gnv2_nas.graph import onnx_bytes
from gnv2_nas.profiling.onnx_runtime import OnnxRuntime
from gnv2_nas.profiling.plan import Plan, collect
from gnv2_nas.profiling.statistics import estimate
from gnv2_nas.space import load_space

PLAN = Plan(min_rounds=60, max_rounds=200, max_seconds=60)


def _rounded(divisor: int) -> Architecture:
    """Stock V2 1.0 with channels rounded to multiples of `divisor`."""
    space = load_space("ghostnetv2")
    return space.decode((space.encode(STOCK) or {}) | {"divisor": divisor})


def run() -> Table:
    runtime = OnnxRuntime()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = exported(public_model(STOCK), dynamo=False)
    artefacts = {
        "public module, exported by tracing": traced,
        "the same file once more (A/A)": traced,
        "onnx_bytes, channels not padded": onnx_bytes(STOCK, channel_multiple=1),
        "onnx_bytes": onnx_bytes(STOCK),
        "channels in multiples of 16, onnx_bytes": onnx_bytes(_rounded(16)),
        "GhostNet 1.0, onnx_bytes": onnx_bytes(preset("ghostnet-1.0")),
        "MobileNetV3-Large 1.0, onnx_bytes": onnx_bytes(preset("mobilenetv3-large-1.0")),
    }
    sessions = [runtime.load(artefact, 1) for artefact in artefacts.values()]
    runs = [session.run for session in sessions]
    samples = collect(runs, PLAN, random.Random(0), enough=lambda _: False)
    estimates = estimate(samples.cpu, [0])
    rows = [
        (
            name,
            f"{estimates.ratio[row] * estimates.reference_seconds * 1e3:.2f}",
            f"{estimates.ratio[row]:.3f}",
            f"{estimates.low[row]:.3f}–{estimates.high[row]:.3f}",
        )
        for row, name in enumerate(artefacts)
    ]
    title = f"GhostNetV2 1.0 in ONNX Runtime, {samples.rounds} rounds (promised: at most 0.95)"
    return table(title, ("", "ms", "÷ traced", "95 %"), rows)

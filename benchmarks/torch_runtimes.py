"""PyTorch and 8 bits against ONNX Runtime at float32: time of a call, of writing and of loading."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from rich.table import Table

from benchmarks.paired import paired
from benchmarks.public_form import STOCK
from benchmarks.table import milliseconds, table
from gnv2_nas.runner.timing import RuntimeFiles
from gnv2_nas.runtimes.base import RUNTIMES, Precision, Runtime, get_runtime
from gnv2_nas.runtimes.parity import check_parity

CASES: tuple[tuple[str, Precision], ...] = (
    ("onnxruntime", "fp32"),
    ("onnxruntime", "int8"),
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("torch-channels-last", "fp32"),
    ("torch-channels-last", "bf16"),
    ("torch-compile", "fp32"),
)


class _Case:
    """A runtime with the file of the stock network."""

    def __init__(self, name: str, precision: Precision) -> None:
        self.name = f"{name}, {precision}"
        self.runtime: Runtime = get_runtime(name, precision)
        self.quick = RUNTIMES[name].quick  # type: ignore[index]
        self.write_seconds, self.files = _timed(lambda: self.runtime.write(STOCK))
        self.load_seconds, self.session = _timed(lambda: self.runtime.load(self.files, 1))
        self.parity = check_parity(STOCK, self.session, self.runtime)

    def run(self) -> Callable[[], object]:
        """An inference of a fresh session, where loading one is quick."""
        if self.quick:
            self.session = self.runtime.load(self.files, 1)
        return self.session.run

    def layers(self) -> str:
        """Sum of the layers' times ÷ time of a call, taken in turns, on the layers' own clock."""
        if not self.quick:
            return "–"
        clock = 0 if self.runtime.name == "onnxruntime" else 1
        shares = [
            sum(_layers(self.runtime, self.files).values())
            / statistics.mean(self.runtime.timer(self.session.run)[clock] for _ in range(10))
            for _ in range(5)
        ]
        return f"{statistics.median(shares):.2f}"


def _layers(runtime: Runtime, files: RuntimeFiles) -> dict[str, float]:
    return runtime.layer_seconds(files, threads=1, runs=10)


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def run() -> Table:
    cases = [_Case(name, precision) for name, precision in CASES]
    found = paired({case.name: case.run for case in cases})
    rows = [
        (
            case.name,
            f"{row.ms:.2f}",
            f"{row.ratio:.2f}",
            f"{row.low:.2f}–{row.high:.2f}",
            milliseconds(case.write_seconds),
            milliseconds(case.load_seconds),
            f"{case.parity:.1g}",
            case.layers(),
        )
        for case, row in zip(cases, found.values(), strict=True)
    ]
    title = "GhostNetV2 1.0, CPU time of one thread"
    columns = ("", "ms", "÷ first", "95 %", "write", "load", "parity", "layers ÷ call")
    return table(title, columns, rows)

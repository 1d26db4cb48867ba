"""Medians, ratios and tables that all benchmarks share."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

from rich import box
from rich.table import Table

from gnv2_nas.devices.fingerprint import fingerprint


def machine() -> str:
    """The machine all figures of this run belong to, in one line."""
    import onnxruntime
    import torch

    it = fingerprint(f"onnxruntime {onnxruntime.__version__}, torch {torch.__version__}")
    return f"{it.cpu}, {it.cores} cores, {it.system}, Python {it.python}, {it.runtime}"


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Median wall time of `repeats` calls, after one that does not count."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table whose first column is text and the others figures."""
    result = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for position, column in enumerate(columns):
        result.add_column(column, justify="right" if position else "left")
    for row in rows:
        result.add_row(*row)
    return result


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"

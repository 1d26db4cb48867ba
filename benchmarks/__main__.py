"""`python -m benchmarks [NAME …]`: run all benchmarks, or those named, and print their tables."""

from __future__ import annotations

import importlib
import sys

from rich.console import Console

from benchmarks.table import machine
from gnv2_nas.runner import huge_pages

NAMES = (
    "counting", "agreement", "answers", "writing", "deployed", "runtimes", "openvino_files",
    "ncnn_files", "litert_files", "executorch_files", "torch_runtimes", "supernet", "scores",
    "overhead", "sessions", "native_runner", "repeat", "over_ssh", "coverage", "verdicts", "trial",
    "memory", "predictor", "recipes", "trust", "evaluation", "workers", "places", "search",
    "budget_lists", "proposing", "storing", "farm", "front", "killing", "killing_cluster",
    "after_kills", "timeouts", "time_breakdown", "repghost", "repghost_fronts",
)  # fmt: skip
"""Modules with a `run() -> rich.table.Table`."""


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(
            f"error: unknown benchmark {unknown[0]!r}; known: {', '.join(NAMES)}", file=sys.stderr
        )
        return 2
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(machine(), markup=False)
    for name in names or NAMES:
        console.print(importlib.import_module(f"benchmarks.{name}").run())
    return 0


if __name__ == "__main__":
    huge_pages.restart()  # as the command line does
    sys.exit(main(sys.argv[1:]))

"""Is the pick of a search better than stock and random networks? From images to the verdicts.

A supernet is trained, searched within a budget, and the pick evaluated: `gnv2-nas evaluate` on what
`gnv2-nas search` found. `python -m benchmarks evaluation` walks the path on digits, each step as
short as it can be; `python -m benchmarks.evaluation [--data DIR] [--budget B] [--seeds 3] [--epochs
E] …` is for results. The study, the weights and the page stay in `--folder`, where the same command
continues.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import gnv2_nas as gn
from benchmarks.table import machine, table
from gnv2_nas.report.evaluation_page.words import describe_table, format_line, list_columns
from gnv2_nas.runner import huge_pages

SUPERNET = Path("supernet.safetensors")
STUDY = "benchmark"


def run(arguments: Sequence[str] = ()) -> Table:
    options = _options(arguments)
    data = options.data if options.data == "digits" else str(Path(options.data).resolve())
    if not options.folder:
        with tempfile.TemporaryDirectory() as folder:
            return _run_in(Path(folder), data, options)
    return _run_in(Path(options.folder), data, options)


def _run_in(folder: Path, data: str, options: argparse.Namespace) -> Table:
    folder.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        if not SUPERNET.exists():
            gn.train("supernet", data, space=options.space, output=SUPERNET,
                     epochs=options.supernet_epochs, progress=True)  # fmt: skip
        gn.search(options.budget, space=options.space, data=data, quality=f"supernet:{SUPERNET}",
                  trials=options.trials, timeout=options.timeout, ablations=0, study=STUDY,
                  reports="reports", progress=True)  # fmt: skip
        found = gn.evaluate(STUDY, seeds=options.seeds, epochs=options.epochs, progress=True)
    finally:
        os.chdir(before)
    (first,) = found.tables
    result = table(
        f"{found.data}, space {options.space}, {options.budget}, {found.training}, "
        f"seeds 0 to {found.seeds - 1}",
        list_columns(first),
        [format_line(first, each) for each in first.results],
    )
    result.caption = " ".join(describe_table(first))
    return result


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--space", default="tiny")
    parser.add_argument("--budget", default="1.2MFLOPs")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--timeout", default="150s")
    parser.add_argument("--supernet-epochs", type=float, default=1)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--folder", default="")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    huge_pages.restart()
    console = Console(width=160, highlight=False)
    console.print(machine(), markup=False)
    console.print(run(sys.argv[1:]))

"""`python -m benchmarks.landscapes measure N`: make the data of `ghostnetv2`, or go on with it.

`python -m benchmarks.landscapes errors` prints how far the truth fitted to it is from networks that
it was not fitted to.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.landscapes.ghostnetv2 import Ghostnetv2
from benchmarks.landscapes.measuring import FILE, measure_networks, read_rows
from benchmarks.table import table
from gnv2_nas.runner import huge_pages

NETWORKS = 400


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.landscapes")
    parser.add_argument("what", choices=["measure", "errors"])
    parser.add_argument("count", type=int, nargs="?", default=NETWORKS, help="networks in the end")
    parser.add_argument("--file", type=Path, default=FILE)
    given = parser.parse_args(arguments)
    if given.what == "measure":
        huge_pages.restart()  # as the command line does
        measure_networks(given.count, given.file)
    else:
        Console(width=120, highlight=False).print(errors_table(given.file))


def errors_table(file: Path = FILE) -> Table:
    """Standard deviations: of the data, of what the truth misses, of one evaluation's noise."""
    landscape = Ghostnetv2(read_rows(file))
    zen, latency = landscape.errors()
    scores = np.array([(row.zen_first + row.zen_second) / 2 for row in landscape.rows])
    ratios = np.array([row.log_ratio for row in landscape.rows])
    rows = [
        ("Zen-score", *(f"{each:.2f}" for each in (scores.std(), _rms(zen), landscape.zen_noise))),
        (
            "latency",
            *(f"{each:.1%}" for each in (ratios.std(), _rms(latency), landscape.latency_noise)),
        ),
    ]
    for origin in ("drawn", "front"):
        chosen = np.array([row.origin == origin for row in landscape.rows])
        if chosen.any():
            rows.append((f"  Zen-score, {origin} networks", "", f"{_rms(zen[chosen]):.2f}", ""))
            rows.append((f"  latency, {origin} networks", "", f"{_rms(latency[chosen]):.1%}", ""))
    title = f"Truth of the landscape ghostnetv2, fitted to {len(landscape.rows)} networks, 8 folds"
    return table(title, ("", "networks", "held-out error", "noise"), rows)


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt((errors**2).mean()))


if __name__ == "__main__":
    main()

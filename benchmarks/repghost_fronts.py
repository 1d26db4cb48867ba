"""What default searches find with RepGhost modules and without: on the front, and how good it is.

`make bench ARGS=repghost_fronts` searches the default space as it is and as it was without the axis
`ghost`, with two seeds each. `python -m benchmarks.repghost_fronts DATABASE …` reads databases of
finished studies instead.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

import gnv2_nas as gn
from benchmarks.landscapes.measuring import SPACE as WITHOUT
from benchmarks.table import machine, table
from gnv2_nas.arch import Architecture, GhostBlock

BUDGET = "300MFLOPs"
TIMEOUT = "8m"
SEEDS = 2
LIMITS = (0.4, 0.6, 0.8, 1.0)
"""Latencies relative to stock GhostNetV2 1.0 that the best scores are compared at."""


def run() -> Table:
    spaces = {"without": str(WITHOUT), "with": "ghostnetv2"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        studies = [
            gn.search(
                BUDGET, space=space, seed=seed, timeout=TIMEOUT, reuse=False,
                study=f"{name}-{seed}", storage=f"sqlite:///{name}-{seed}.db",
            )
            for seed in range(SEEDS)
            for name, space in spaces.items()
        ]  # fmt: skip
        return fronts_table(studies)


def fronts_table(studies: Iterable[gn.Study]) -> Table:
    """A row for each study."""
    columns = (
        "study", "on the front", "stock", "mostly RepGhost", "RepGhost blocks",
        *(f"best at {limit:g}" for limit in LIMITS),
    )  # fmt: skip
    title = f"Zen-scores within {BUDGET}, at latencies relative to stock GhostNetV2 1.0"
    return table(title, columns, [_describe(study) for study in studies])


def _describe(study: gn.Study) -> tuple[str, ...]:
    front = study.front
    shares = [repghost_share(trial.architecture) for trial in front]
    scores = [
        (trial.latency.ratio, trial.quality)
        for trial in front
        if trial.latency is not None and trial.quality is not None
    ]
    best = (max((score for ratio, score in scores if ratio <= limit), default=None)
            for limit in LIMITS)  # fmt: skip
    return (
        study.name,
        str(len(front)),
        str(sum(bool(trial.baseline) for trial in front)),
        str(sum(share > 0.5 for share in shares)),
        f"{sum(shares) / len(shares):.0%}" if shares else "",
        *("" if score is None else f"{score:.1f}" for score in best),
    )


def repghost_share(arch: Architecture) -> float:
    """Share of the blocks whose Ghost modules merge by addition."""
    adding = (isinstance(block, GhostBlock) and block.ghost1.adds for block in arch.blocks)
    return sum(adding) / len(arch.blocks)


if __name__ == "__main__":
    databases = [Path(name) for name in sys.argv[1:]]
    found = [gn.load_study(path.stem, storage=f"sqlite:///{path}") for path in databases]
    console = Console(width=120, highlight=False)
    console.print(machine(), markup=False)
    console.print(fronts_table(found) if found else run())

"""Is a front as good wherever its networks are scored? In the search itself, by workers, on nodes.

`python -m benchmarks places`, or `python -m benchmarks.places --seeds 3 --trials 40`, repeats one
search with several seeds in each place. Nothing is measured: scores and multiply-adds are exact, so
only what was proposed differs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from benchmarks.table import machine, table
from gnv2_nas.runner import huge_pages
from gnv2_nas.search.analysis.convergence import accumulate_hypervolume, scale_losses
from gnv2_nas.search.study.records import Trial
from gnv2_nas.stats.intervals import student_95
from gnv2_nas.workflows.search.request import SearchRequest
from gnv2_nas.workflows.search.session import SearchSession

SEEDS, TRIALS, WORKERS = 5, 64, 4
ALONE, HERE, NODES = "in the search", f"{WORKERS} workers here", f"{WORKERS} workers on two nodes"
OBJECTIVES = ("quality", "macs")

Vector = np.ndarray[tuple[int], np.dtype[np.float64]]


def run(seeds: int = SEEDS, trials: int = TRIALS) -> Table:
    found: dict[str, list[list[Trial]]] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{folder}/studies.db"
        for place, workers in ((ALONE, 1), (HERE, WORKERS)):
            request = SearchRequest(storage=storage, workers=workers, trials=trials)
            found[place], seconds[place] = _search(place, request, seeds)
        with _two_nodes():
            request = SearchRequest(storage=storage, workers=WORKERS, ray="auto", trials=trials)
            found[NODES], seconds[NODES] = _search(NODES, request, seeds)
    volumes = _hypervolumes(found)
    rows = [
        (
            place, f"{own.mean():.4f}", f"{own.std(ddof=1):.4f}",
            "" if place == ALONE else _difference(own - volumes[ALONE]),
            f"{seconds[place] / seeds:.0f} s",
        )
        for place, own in volumes.items()
    ]  # fmt: skip
    columns = ("scored", "mean", "deviation", f"less that {ALONE} [95 %]", "a search")
    title = (
        f"Hypervolume after {trials} networks of tiny, as a share of the box of all fronts; "
        f"{seeds} seeds"
    )
    return table(title, columns, rows)


def _search(place: str, request: SearchRequest, seeds: int) -> tuple[list[list[Trial]], float]:
    """The searched networks of each seed, and the seconds that all took."""
    found, began = [], time.monotonic()
    for seed in range(seeds):
        request = replace(
            request, space="tiny", quality="zen", objectives=",".join(OBJECTIVES), timeout=3600.0,
            seed=seed, study=f"{place}, {seed}", reports=None,
        )  # fmt: skip
        with closing(SearchSession(request.check())) as session:
            loop = session.loop()
            loop.run()
            found.append([trial for trial in loop.trials.values() if trial.searched])
    return found, time.monotonic() - began


@contextmanager
def _two_nodes() -> Iterator[None]:
    """A cluster of two nodes on the loopback device."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    os.environ |= {
        "RAY_TMPDIR": folder, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token",
    }  # fmt: skip
    from ray.cluster_utils import Cluster

    node = {"num_cpus": WORKERS // 2, "node_ip_address": "127.0.0.1", "plasma_directory": folder}
    head = {"no_monitor": True, "include_dashboard": False, "include_log_monitor": False}
    cluster: Any = Cluster(initialize_head=True, head_node_args=node | head)
    try:
        cluster.add_node(**node)
        yield
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def _hypervolumes(found: Mapping[str, Sequence[Sequence[Trial]]]) -> dict[str, Vector]:
    """Place → the hypervolume of each search, all in one box."""
    everything = [trial for searches in found.values() for each in searches for trial in each]
    scaled, volumes, first = scale_losses(everything, OBJECTIVES), {}, 0
    for place, searches in found.items():
        own = []
        for each in searches:
            own.append(float(accumulate_hypervolume(scaled[first : first + len(each)])[-1]))
            first += len(each)
        volumes[place] = np.array(own)
    return volumes


def _difference(paired: Vector) -> str:
    half = student_95(len(paired) - 1) * float(paired.std(ddof=1)) / len(paired) ** 0.5
    return f"{paired.mean():+.4f} [{paired.mean() - half:+.4f}, {paired.mean() + half:+.4f}]"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.places")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N")
    parser.add_argument("--trials", type=int, default=TRIALS, metavar="N")
    given = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(machine(), markup=False)
    console.print(run(given.seeds, given.trials))


if __name__ == "__main__":
    huge_pages.restart()  # as the command line does
    main()

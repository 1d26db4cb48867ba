"""Kill workers, a node and the driver of a search on two nodes of Ray, again and again."""

from __future__ import annotations

import os
import random
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.killing import (
    KILLS,
    SEED,
    TRIALS,
    Search,
    found,
    kill,
    killed,
    started,
)
from benchmarks.table import table

WORKERS = 3
"""One node has room for two of them."""
CORES = 2
SECONDS_TO_GROW = 30.0
"""Wait for a worker to kill, when all have just been killed."""


def run() -> Table:
    with tempfile.TemporaryDirectory(prefix="k-", dir="/tmp") as folder, _cluster(folder) as nodes:
        begin = time.perf_counter()
        strikes = (nodes.kill_driver, nodes.kill_worker, nodes.kill_node)
        outcome = killed(Path(folder), _start, TRIALS, KILLS, random.Random(SEED), strikes)
        seconds = time.perf_counter() - begin
    title = (
        f"A search of {outcome.wanted} trials on two nodes of Ray, {outcome.kills} times SIGKILL, "
        f"{seconds:.0f} s"
    )
    kills = [(f"kills of {what}", str(count)) for what, count in sorted(nodes.killed.items())]
    return table(title, ("", "found"), [*kills, *found(outcome)])


def _start(arguments: Sequence[str], folder: Path) -> Search:
    """Start the search where Ray scores."""
    scored = ("--quality", "zen", "--workers", str(WORKERS), "--ray", "auto")
    return started((*arguments, *scored), folder)


class _Nodes:
    """A head, which stays, and a second node."""

    def __init__(self, cluster: Any, options: dict[str, Any]) -> None:
        self._cluster, self._options = cluster, options
        self._rng = random.Random(SEED)
        self._second = cluster.add_node(**options)
        self.killed: Counter[str] = Counter()

    def kill_driver(self, search: Search) -> None:
        kill(search)
        self.killed["the driver"] += 1

    def kill_node(self, _: Search) -> None:
        """Kill the second node with its workers; another one joins."""
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = self._cluster.add_node(**self._options)
        self.killed["a node"] += 1

    def kill_worker(self, search: Search) -> None:
        late = time.monotonic() + SECONDS_TO_GROW
        while not (workers := _workers()) and time.monotonic() < late and not search.ended():
            time.sleep(0.05)
        if workers:
            self._rng.choice(workers).kill()
            self.killed["a worker"] += 1


def _workers() -> list[Any]:
    """Processes of Ray on this cluster that score."""
    import psutil

    children = psutil.Process().children(recursive=True)
    return [each for each in children if _name(each).startswith("ray::Scorer")]


def _name(process: Any) -> str:
    import psutil

    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return ""


@contextmanager
def _cluster(folder: str) -> Iterator[_Nodes]:
    """Two nodes on this machine, which `--ray auto` of processes from here finds."""
    os.environ |= {
        "RAY_TMPDIR": folder,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # loopback
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    from ray.cluster_utils import Cluster

    node = {"num_cpus": CORES, "node_ip_address": "127.0.0.1", "plasma_directory": folder}
    head = {"no_monitor": True, "include_dashboard": False, "include_log_monitor": False}
    cluster = Cluster(initialize_head=True, head_node_args=node | head)
    try:
        yield _Nodes(cluster, node)
    finally:
        cluster.shutdown()

"""Workers of Ray: how many networks a supernet scores in a second with one worker and with two."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path

from rich.table import Table

from benchmarks.table import table
from gnv2_nas.search.engine.workers import Workers
from gnv2_nas.workflows.search.request import SearchRequest
from gnv2_nas.workflows.search.scorer import make_scorer

NETWORKS = 32
SETUPS = ((1, 2), (2, 1), (1, 1), (2, 1), (1, 2), (1, 1))
"""Workers, and threads of each. Every setup is measured twice, at different times."""


def run() -> Table:
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "supernet.safetensors"
        _train(weights)
        request = SearchRequest(
            space="tiny", quality=f"supernet:{weights}", data="digits",
            objectives="quality,macs", reports=None, storage=f"sqlite:///{folder}/studies.db",
        )  # fmt: skip
        space, settings = request.check().space, request.check().settings
        rng = random.Random(1)
        networks = [space.sample(rng) for _ in range(NETWORKS)]
        scorer = partial(make_scorer, settings, "tiny", 0)
        found: dict[tuple[int, int], list[tuple[float, float]]] = {}
        for count, threads in SETUPS:
            os.environ["OMP_NUM_THREADS"] = str(threads)
            began = time.monotonic()
            with closing(Workers(count, scorer, timeout=600)) as workers:
                ready = time.monotonic() - began
                workers.scores(networks[: 2 * count])  # every worker makes its scorer
                began = time.monotonic()
                workers.scores(networks)
                rate = NETWORKS / (time.monotonic() - began)
            found.setdefault((count, threads), []).append((rate, ready))
    best = max(rate for (count, _), runs in found.items() if count == 1 for rate, _ in runs)
    rows = [
        (
            str(count), str(threads), " and ".join(f"{rate:.2f}" for rate, _ in runs),
            f"{min(rate for rate, _ in runs) / best:.2f}",
            f"{max(ready for _, ready in runs):.1f} s",
        )
        for (count, threads), runs in found.items()
    ]  # fmt: skip
    columns = (
        "workers",
        "threads of each",
        "networks/s",
        "slower run ÷ best of one",
        "Ray is up in",
    )
    return table(f"{NETWORKS} networks of tiny scored by a supernet on digits", columns, rows)


def _train(weights: Path) -> None:
    command = ["train", "supernet", "--data", "digits", "--space", "tiny", "--epochs", "2"]
    words = [Path(sys.executable).with_name("gnv2-nas"), *command, "--output", str(weights)]
    subprocess.run(words, check=True, capture_output=True)

"""The accuracy predictor: architectures a second, and its held-out error.

The accuracies are those of a supernet: one that is trained on digits first, or the file that
GNV2_NAS_SUPERNET names.
"""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from pathlib import Path

from rich.table import Table

from benchmarks.table import table
from gnv2_nas.arch import Architecture
from gnv2_nas.data import load_dataset
from gnv2_nas.quality import QualityContext
from gnv2_nas.quality.predictor.model import Predictor
from gnv2_nas.space import SearchSpace, load_space
from gnv2_nas.training import default_recipe, train_supernet
from gnv2_nas.workflows.predictor import NETWORKS, evaluate_and_fit

BATCH = 2000
REPEATS = 5


def run() -> Table:
    space, dataset = load_space("tiny"), load_dataset("digits", 64)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(os.environ.get("GNV2_NAS_SUPERNET") or f"{folder}/supernet.safetensors")
        if not file.exists():
            train_supernet(space, dataset, default_recipe(dataset, supernet=True), file)
        predictor = evaluate_and_fit(
            f"supernet:{file}", QualityContext(space, dataset), NETWORKS,
            Path(folder) / "accuracies.jsonl", lambda _: None,
        )  # fmt: skip
    rows = [
        (each.name, f"±{each.mae:.2f} %", str(each.agreement or "–")) for each in predictor.errors
    ]
    rows.append(("architectures a second, a batch of 2000", f"{_rate(predictor, space):,.0f}", ""))
    rows.append(("the same one by one", f"{_rate_one_by_one(predictor, space):,.0f}", ""))
    return table(
        f"Accuracy predictor, {NETWORKS} supernet accuracies of digits, 10-fold cross-validation "
        "(promised: 2,000 architectures a second)",
        ("", "mean error", "τ [95%]"),
        rows,
    )


def _rate(predictor: Predictor, space: SearchSpace) -> float:
    architectures = _sample(space)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        predictor.predict(architectures)
        seconds.append(time.perf_counter() - start)
    return BATCH / statistics.median(seconds)


def _rate_one_by_one(predictor: Predictor, space: SearchSpace) -> float:
    architectures = _sample(space)
    start = time.perf_counter()
    for arch in architectures:
        predictor.predict([arch])
    return BATCH / (time.perf_counter() - start)


def _sample(space: SearchSpace) -> list[Architecture]:
    rng = random.Random(1)
    return [space.sample(rng) for _ in range(BATCH)]
